"""Whether a peer delivers what it has begun fast enough to be waited for."""

from __future__ import annotations


class Pace:
    """Counts the time that is spent waiting for one thing (a PDU, or an object of many) and the bytes that came.

    Only waiting counts, so that a slow disk of ours is not taken for a slow peer. Time-outs of single reads cannot do
    this: a byte now and then satisfies each of them for ever.

    Parameters
    ----------
    patience_seconds
        Waiting that is free.
    bytes_per_second
        Waiting beyond it is granted at this price; 0 for none.
    """

    def __init__(self, patience_seconds: float, bytes_per_second: float = 0.0) -> None:
        self._patience_seconds = patience_seconds
        self._bytes_per_second = bytes_per_second
        self._waited_seconds = 0.0
        self._received_bytes = 0

    @property
    def left_seconds(self) -> float:
        """How much longer to wait; 0 or less when patience is at an end."""
        earned = self._received_bytes / self._bytes_per_second if self._bytes_per_second else 0.0
        return self._patience_seconds + earned - self._waited_seconds

    def waited(self, seconds: float) -> None:
        """Note that so much time was spent waiting."""
        self._waited_seconds += seconds

    def received(self, count: int) -> None:
        """Note that so many bytes came."""
        self._received_bytes += count
