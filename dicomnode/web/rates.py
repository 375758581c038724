"""How often somebody may ask, and how often be wrong."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network

#: So many callers are remembered; who comes with ever new names and addresses pushes out only the oldest.
_REMEMBERED = 10_000


#: One customer of a network has so many bits of an IPv6 address for themselves at least (RFC 6177).
_OWN_BITS = 64


def place_of(address: str) -> str:
    """What counts as one address: of IPv6 the whole network that somebody has for themselves."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, _OWN_BITS), strict=False))
    return str(found)


@dataclass(slots=True)
class Rate:
    """A bucket for each caller, from which every try takes one and which fills up steadily.

    Attributes
    ----------
    at_most
        How many tries a full bucket has.
    seconds
        How long an empty one takes to be full.
    """

    at_most: int
    seconds: float
    monotonic: Callable[[], float] = time.monotonic
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, who: str) -> float:
        """Take one; the seconds until there is one again, 0 if one was taken."""
        with self._lock:
            left, now = self._now(who)
            if left < 1:
                return (1 - left) * self.seconds / self.at_most
            self._put(who, left - 1, now)
            return 0.0

    def wait(self, who: str) -> float:
        """The seconds until there is one to take; takes none."""
        with self._lock:
            left, _now = self._now(who)
            return 0.0 if left >= 1 else (1 - left) * self.seconds / self.at_most

    def give_back(self, who: str) -> None:
        """Return one that was taken."""
        with self._lock:
            left, now = self._now(who)
            self._put(who, min(self.at_most, left + 1), now)

    def forgive(self, who: str) -> None:
        """Fill the bucket."""
        with self._lock:
            self._left.pop(who, None)

    def _now(self, who: str) -> tuple[float, float]:
        now = self.monotonic()
        left, at = self._left.get(who, (float(self.at_most), now))
        return min(self.at_most, left + (now - at) * self.at_most / self.seconds), now

    def _put(self, who: str, left: float, now: float) -> None:
        self._left[who] = (left, now)
        self._left.move_to_end(who)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
