"""What peers on the web have made known that no row holds: when to leave them alone, and what they do not take."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from dicomnode.deliver.offers import OFFERS
from dicomnode.domain.errors import NoAssociation
from dicomnode.domain.network import Peer

#: As long as what a peer accepts by association is believed (`store.acceptances`).
_BELIEVED_SECONDS = 86400.0

#: What is presumed not to be accepted, so that the mask goes that every archive knows.
_RARE = frozenset({"labelmap"})

_SOP_CLASS_NOT_SUPPORTED = 3


class Memory:
    """One for all sending threads of a process; what a crash forgets is learnt again by one refusal."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._until: dict[str, float] = {}
        self._refused: dict[tuple[str, str], float] = {}

    def wait(self, peer: str, seconds: float) -> None:
        """Leave a peer alone for so long."""
        if seconds > 0:
            self._until[peer] = self._now() + seconds

    def require(self, peer: Peer) -> None:
        """Do not bother a peer that has asked to be left alone.

        Raises
        ------
        NoAssociation
            It has, and for how much longer.
        """
        left = self._until.get(peer.name, 0.0) - self._now()
        if left > 0:
            raise NoAssociation(f"{peer.title}: asked to be left alone for another {left:.0f} s (Retry-After)")

    def refused(self, peer: str, sop_class_uid: str) -> None:
        """Note that a peer does not take objects of a class."""
        self._refused[peer, sop_class_uid] = self._now()

    def presumed(self, peer: Peer) -> dict[tuple[str, str], int]:
        """What a peer is believed to accept, in the form of `offers.ask`: STOW-RS has no question for it.

        Everything but label maps, until it refuses a class as one that it does not support.
        """
        found = {}
        for kind, classes in OFFERS.items():
            for sop_class, syntaxes in classes.items():
                since = self._refused.get((peer.name, sop_class))
                refused = kind in _RARE or (since is not None and self._now() - since < _BELIEVED_SECONDS)
                found.update({(sop_class, syntax): _SOP_CLASS_NOT_SUPPORTED if refused else 0 for syntax in syntaxes})
        return found
