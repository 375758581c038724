"""Refusals that name the element at fault, so that the answer can carry it as Offending Element."""

from __future__ import annotations

from dicomnode.domain.errors import CannotUnderstand, Refused, SOPClassMismatch


class ProcessingFailure(Refused):
    """The node failed for a reason of its own (PS3.7 C.5.10)."""

    status = 0x0110


class Mistyped(Refused):
    """A request lacks what is mandatory in it (PS3.7 C.5.15)."""

    status = 0x0212


class SOPClassNotSupported(Refused):
    """The object is of a class that nothing is stored of here (PS3.7 C.5.6, PS3.18 Table I.2-2)."""

    status = 0x0122


class NotUnderstood(CannotUnderstand):
    """A data set that cannot be used because of one element.

    Parameters
    ----------
    offending
        Its tag (PS3.7 E.1, Offending Element).
    """

    def __init__(self, message: str, *, offending: int) -> None:
        super().__init__(message)
        self.offending = offending


class Contradiction(SOPClassMismatch):
    """A data set whose element says something else than the command set or the presentation context."""

    def __init__(self, message: str, *, offending: int) -> None:
        super().__init__(message)
        self.offending = offending


def offending_of(refusal: Refused) -> int | None:
    """Tag of the element at fault, where one is known."""
    return refusal.offending if isinstance(refusal, NotUnderstood | Contradiction) else None
