"""What a query needs of an association, and what the answers of a peer mean."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Protocol

from pydicom import Dataset
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.status import QR_FIND_SERVICE_CLASS_STATUS, QR_MOVE_SERVICE_CLASS_STATUS

from dicomnode.domain.errors import DeliveryError, PeerUnreachable


class Talk(Protocol):
    """An association that we requested, as whoever opened it hands it in."""

    @property
    def association(self) -> Association:
        """The association."""

    @property
    def name(self) -> str:
        """The peer as messages name it."""

    def lost(self, seconds: float) -> PeerUnreachable:
        """Why no answer came to a request made `seconds` ago."""


def missing(talk: Talk, wanted: Mapping[str, PresentationContext]) -> list[str]:
    """Names of the services whose presentation context the peer has not accepted."""
    accepted = {context.abstract_syntax for context in talk.association.accepted_contexts}
    return [name for name, context in wanted.items() if context.abstract_syntax not in accepted]


def require(talk: Talk, sop_class: str, what: str) -> None:
    """Make sure that the peer has accepted a SOP class.

    Raises
    ------
    DeliveryError
        It has not: what an operator has to allow at the peer.
    """
    if not any(context.abstract_syntax == sop_class for context in talk.association.accepted_contexts):
        raise DeliveryError(f"{talk.name}: accepts no {what}; allow it there for this node's AE title")


def checked(talk: Talk, status: Dataset, began: float) -> int:
    """The status of one answer.

    Raises
    ------
    PeerUnreachable
        There was none: the connection is gone, or the time is up.
    """
    if "Status" not in status:
        raise talk.lost(monotonic() - began)
    return int(status.Status)


def status_text(what: str, code: int) -> str:
    """A status of C-FIND, C-MOVE or C-GET in the standard's words.

    The peer's own (Error Comment) are left out: archives repeat the query there, and with it the patient, which would
    come into the log and the story.
    """
    table = QR_FIND_SERVICE_CLASS_STATUS if what == "C-FIND" else QR_MOVE_SERVICE_CLASS_STATUS
    category, meaning = table.get(code, ("", "status unknown to the standard"))
    return f"{what} ended with {code:04X} {meaning or category}"
