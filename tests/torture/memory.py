"""Resident memory of the processes of a node, sampled while something happens to it."""

from __future__ import annotations

import os
import statistics
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.acceptance.running import Node

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_INTERVAL_SECONDS = 0.25
_MIB = 1 << 20
ROLES = ("receive", "work", "deliver")


class Memory:
    """Samples the processes of a node in a thread until it is stopped.

    Parameters
    ----------
    clock
        What time is counted in: seconds, or studies.

    Attributes
    ----------
    samples
        (moment, MiB) by role.
    """

    def __init__(self, node: Node, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pids = {role: node.child(role) for role in ROLES}
        self._pids["supervisor"] = node.supervisor
        self._over = threading.Event()
        self.samples: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._thread = threading.Thread(target=self._watch, daemon=True, name="memory")

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_INTERVAL_SECONDS):
            for role, pid in self._pids.items():
                with suppress(OSError):
                    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                    self.samples[role].append((self._clock(), pages * _PAGE_BYTES / _MIB))

    def typical_mib(self, role: str, first: float, last: float) -> float:
        """The median between two moments."""
        found = [mib for moment, mib in self.samples[role] if first <= moment <= last]
        assert found, f"{role} was not sampled between {first:g} and {last:g}"
        return statistics.median(found)
