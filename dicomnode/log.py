"""Structured log on standard error; knows nothing about patients and keeps it so."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, TextIO, cast

import structlog

from dicomnode.domain.errors import DicomNodeError

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
        renderer = _Text(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0))
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        drop_patient_data,
        withhold_words,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines("%(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # These print values of data sets even in warnings, and what goes wrong in them is told by our own lines.
    for library in ("pydicom", "pynetdicom", "highdicom"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=library)


def catch_all() -> None:
    """Log what nothing has caught, for the rest of this process; Python itself would print all its words."""
    sys.excepthook, threading.excepthook, sys.unraisablehook = _at_the_end, _in_a_thread, _nobody_caught


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


def withhold_words(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Turn an exception into its traceback without words that nobody of us wrote."""
    given = line.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        line["exception"] = told(error)
    return line


def told(error: BaseException) -> str:
    """The traceback of an exception: every type and frame, and of the words only those that name no patient.

    Libraries repeat the value that they cannot read, so that the words of a `ValueError` may be a patient's name. Ours
    never do, and the operating system's name what went wrong; all others are withheld. Lines of code are ours or a
    library's, and no data.
    """
    lines: list[str] = []
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        frames = traceback.format_tb(found.__traceback__)
        lines.insert(0, f"Traceback (most recent call last):\n{''.join(frames)}{_title(found)}")
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return "\n\nthen:\n".join(lines)


def _title(error: BaseException) -> str:
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    if isinstance(error, DicomNodeError):
        return f"{name}: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: {error.strerror}"
    if isinstance(error, BaseExceptionGroup):
        return f"{name} of " + ", ".join(_title(one) for one in error.exceptions)
    return f"{name}: (words withheld)" if error.args else name


class _Lines(logging.Formatter):
    """What libraries log, with tracebacks as ours."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name that logging calls
        return told(ei[1]) if ei and ei[1] is not None else ""


def _at_the_end(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    structlog.get_logger(__name__).error("ended by an exception", exc_info=(kind, error, frames))


def _in_a_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None and not isinstance(found.exc_value, SystemExit):
        name = found.thread.name if found.thread is not None else ""
        structlog.get_logger(__name__).error("thread ended by an exception", thread=name, exc_info=found.exc_value)


def _nobody_caught(found: Any) -> None:
    if found.exc_value is not None:
        structlog.get_logger(__name__).error("exception that nobody can catch", exc_info=found.exc_value)
