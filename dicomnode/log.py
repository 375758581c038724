"""Structured log on standard error; knows nothing about patients and keeps it so."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

#: Keys under which a careless line could carry patient data; their values never reach the log.
PATIENT_KEYS = frozenset({"patient_name", "patient_id", "patient_birth_date", "dataset", "ds", "header"})


def configure(level: str, form: str, process: str) -> None:
    """Set up the log of this process.

    Parameters
    ----------
    level
        debug, info, warning or error.
    form
        `text` for people, `json` for collectors.
    process
        Name of the process, bound to every line.
    """
    number = getattr(logging, level.upper())
    renderer: Any = structlog.processors.JSONRenderer()
    if form == "text":
        # The plain traceback: the default one prints local variables, and with them patients.
        renderer = _Text(
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
            )
        )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        drop_patient_data,
        *([structlog.processors.format_exc_info] if form == "json" else []),
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", stream=sys.stderr, force=True)
    # These print values of data sets even in warnings, and what goes wrong in them is told by our own lines.
    for library in ("pydicom", "pynetdicom", "highdicom"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=library)


class _Unfailing(io.TextIOBase):
    """A stream whose faults end here: a full disk under the log or a collector that went away stops no job."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


class _Text:
    """Lines for people; what somebody shall paste into a configuration stands below its line, as it is."""

    def __init__(self, renderer: Any) -> None:
        self._renderer = renderer

    def __call__(self, logger: Any, method: str, line: MutableMapping[str, Any]) -> str:
        lines = line.pop("admit_with", "")
        return f"{self._renderer(logger, method, line)}\n{lines}".rstrip("\n")


def drop_patient_data(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Remove what must not be logged, whoever passed it."""
    for key in PATIENT_KEYS & line.keys():
        line[key] = "not logged"
    return line
