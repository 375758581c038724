"""Counts connections and associations, so that no caller takes all that there is room for."""

from __future__ import annotations

from collections import Counter
from threading import Lock

#: Connections for each association that is allowed: one that has yet to ask for it may wait beside one that serves.
_CONNECTIONS_PER_ASSOCIATION = 2

#: A connection: address and port of the caller.
Caller = tuple[str, int]


class Census:
    """Who is connected and associated now. Thread-safe.

    Parameters
    ----------
    maximum_associations, maximum_associations_per_peer
        As of `Limits`.

    Attributes
    ----------
    left
        How many connections have ended so far.
    """

    def __init__(self, maximum_associations: int, maximum_associations_per_peer: int) -> None:
        self._most = maximum_associations
        self._most_per_peer = maximum_associations_per_peer
        self._connected: set[Caller] = set()
        self._associated: dict[Caller, str] = {}
        self._lock = Lock()
        self.left = 0

    @property
    def most_connections(self) -> int:
        """So many may be open, of all callers together."""
        return self._most * _CONNECTIONS_PER_ASSOCIATION

    def connect(self, caller: Caller) -> str:
        """Count a connection; why it cannot be taken, or "" if it is."""
        with self._lock:
            own = sum(address == caller[0] for address, _ in self._connected)
            most, most_own = (
                each * _CONNECTIONS_PER_ASSOCIATION for each in (self._most, min(self._most_per_peer, self._most))
            )
            if len(self._connected) >= most:
                return f"{len(self._connected)} connections are open, the limit is {most}"
            if own >= most_own:
                return f"{own} connections of this address are open, the limit is {most_own}"
            self._connected.add(caller)
            return ""

    def associate(self, caller: Caller, peer: str) -> str:
        """Count an association of `peer` (its name or address); why there is no room for it, or "" if there is."""
        with self._lock:
            own = Counter(self._associated.values())[peer]
            if len(self._associated) >= self._most:
                return f"{len(self._associated)} associations are open, the limit is {self._most}"
            if own >= self._most_per_peer:
                return f"{own} associations of {peer} are open, the limit is {self._most_per_peer}"
            self._associated[caller] = peer
            return ""

    def end(self, caller: Caller) -> None:
        """Forget an association whose connection stays open."""
        with self._lock:
            self._associated.pop(caller, None)

    def leave(self, caller: Caller) -> None:
        """Forget a connection and its association."""
        with self._lock:
            self.left += caller in self._connected
            self._connected.discard(caller)
            self._associated.pop(caller, None)
