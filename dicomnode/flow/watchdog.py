"""Notices processes that live and do nothing, ends them, and tells systemd while all is well."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic
from typing import Protocol

import structlog

from dicomnode.flow import notify_systemd
from dicomnode.flow.pulse import last_ns

_log = structlog.get_logger(__name__)

#: A process that has given signs of life and gives none for so long is ended. Whoever waits for the database does so
#: for 30 s at most, and then says so.
_PATIENCE_SECONDS = 60.0

#: C code of radiomics lets no other thread of its process run: 24 s for the shape of one lung (DESIGN 11.4); a whole
#: body has 20 times its surface.
_PATIENCE_OF = {"work": 600.0}


class Process(Protocol):
    """A process of the node, as its supervisor knows it."""

    @property
    def role(self) -> str:
        """What it does."""

    @property
    def worker(self) -> str:
        """Its name, another one after each start."""

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """None between two lives."""


class Watchdog:
    """Looks at the processes about once a second; its caller starts those anew that have ended.

    Parameters
    ----------
    alive
        Called when every process lives and has given a sign of life in time: systemd's own watchdog waits again.
    """

    def __init__(
        self, store: Path, alive: Callable[[], None] = notify_systemd.alive, now: Callable[[], float] = monotonic
    ) -> None:
        self._store, self._alive, self._now = store, alive, now
        self._seen: dict[str, tuple[str, int, float, bool]] = {}

    def look(self, processes: Iterable[Process]) -> None:
        """End what is silent. Only the time between two looks counts, so that a clock that jumps ends nothing."""
        well = True
        for one in processes:
            if one.process is None or one.process.poll() is not None:
                well = False
            elif (silence := self._silence_seconds(one)) > _PATIENCE_OF.get(one.role, _PATIENCE_SECONDS):
                well = False
                _log.error("process hangs and is ended", role=one.role, pid=one.process.pid, silent_seconds=silence)
                one.process.kill()
        if well:
            self._alive()

    def _silence_seconds(self, one: Process) -> float:
        """For how long a process has been silent; 0 until it has given a first sign, since its start may take long."""
        now, last = self._now(), last_ns(self._store, one.role)
        worker, before, since, has_beaten = self._seen.get(one.role, ("", last, now, False))
        if worker != one.worker:
            before, since, has_beaten = last, now, False
        if last != before:
            since, has_beaten = now, True
        self._seen[one.role] = (one.worker, last, since, has_beaten)
        return now - since if has_beaten else 0.0
