"""Notices processes that live and do nothing, ends them, and tells systemd while all is well."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Protocol

import structlog

from dicomnode.flow import notify_systemd
from dicomnode.flow.pulse import patience_seconds

_log = structlog.get_logger(__name__)


class Process(Protocol):
    """A process of the node, as its supervisor knows it."""

    @property
    def role(self) -> str:
        """What it does."""

    @property
    def worker(self) -> str:
        """Its name, another one after each start."""

    @property
    def signs(self) -> int:
        """How often it has said since its start that it lives."""

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """None between two lives."""


class Watchdog:
    """Looks at the processes about once a second, those included that finish what they have in hand for their heirs.

    Its caller starts those anew that have ended.

    Parameters
    ----------
    alive
        Called when every process lives and has given a sign of life in time: systemd's own watchdog waits again.
    """

    def __init__(self, alive: Callable[[], None] = notify_systemd.alive, now: Callable[[], float] = monotonic) -> None:
        self._alive, self._now = alive, now
        self._seen: dict[str, tuple[int, float]] = {}

    def look(self, processes: Iterable[Process]) -> None:
        """End what is silent. Only the time between two looks counts, so that a clock that jumps ends nothing."""
        well, looked = True, list(processes)
        self._seen = {one.worker: self._seen[one.worker] for one in looked if one.worker in self._seen}
        for one in looked:
            if one.process is None or one.process.poll() is not None:
                well = False
            elif (silence := self._silence_seconds(one)) > patience_seconds(one.role):
                well = False
                _log.error("process hangs and is ended", role=one.role, pid=one.process.pid, silent_seconds=silence)
                one.process.kill()
        if well:
            self._alive()

    def _silence_seconds(self, one: Process) -> float:
        """For how long a process has been silent; 0 until it has given a first sign, since its start may take long."""
        now = self._now()
        before, since = self._seen.get(one.worker, (0, now))
        if one.signs != before:
            since = now
        self._seen[one.worker] = (one.signs, since)
        return now - since if one.signs else 0.0
