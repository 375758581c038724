"""Keeps what somebody can cause as often as he likes from filling log and audit trail."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from time import monotonic

#: One line a minute for each caller tells an operator as much as thousands.
_SECONDS = 60.0

#: Callers remembered; the one who was told of longest ago is forgotten first.
_MOST = 1000


class Throttle:
    """Counts what happens by caller, and lets one of many be told. Thread-safe."""

    def __init__(self, seconds: float = _SECONDS, now: Callable[[], float] = monotonic) -> None:
        self._seconds, self._now = seconds, now
        self._lock = Lock()
        self._told: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def times(self, caller: str) -> int:
        """How often it has happened since it was last told of this caller, to be told now; 0 is not to be told."""
        with self._lock:
            now = self._now()
            since, untold = self._told.get(caller, (-self._seconds, 0))
            if now - since < self._seconds:
                self._told[caller] = (since, untold + 1)
                return 0
            self._told[caller] = (now, 0)
            self._told.move_to_end(caller)
            if len(self._told) > _MOST:
                self._told.popitem(last=False)
            return untold + 1
