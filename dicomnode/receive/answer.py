"""Turns the outcome of storing one object into the C-STORE response (PS3.4 Table B.2-1, PS3.7 Annex C)."""

from __future__ import annotations

import errno
from typing import NamedTuple

from dicomnode.domain.errors import OutOfResources, Refused
from dicomnode.receive.refusal import ProcessingFailure, offending_of

SUCCESS = 0x0000

#: Longest Error Comment (PS3.7 E.1: VR LO).
ERROR_COMMENT_CHARACTERS = 64

#: Errors of the file system that say "no room" or "not now", so that the sender tries again later.
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EMFILE, errno.ENFILE})


class Answer(NamedTuple):
    """Status, Error Comment ("" for none) and tag of the Offending Element (None for none)."""

    status: int
    comment: str = ""
    offending: int | None = None


def refusal_of_os(error: OSError) -> Refused:
    """What a failing disk means to the sender: A700 where trying again later may help, 0110 otherwise."""
    reason = error.strerror or type(error).__name__
    if error.errno in _DISK_ERRORS:
        return OutOfResources(f"storage: {reason}")
    return ProcessingFailure(f"storage: {reason}")


def answer(refusal: Refused | None) -> Answer:
    """What a C-STORE response says: with Error Comment and Offending Element for a failure."""
    if refusal is None:
        return Answer(SUCCESS)
    # The command set knows the default repertoire only, and a backslash would make two values of one.
    comment = str(refusal).encode("ascii", errors="replace").decode("ascii").replace("\\", "/")
    return Answer(refusal.status, comment[:ERROR_COMMENT_CHARACTERS], offending_of(refusal))
