"""Forms that the answers and questions of this interface share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Path
from pydantic import BaseModel, Field

from dicomnode.web.problem import Problem

#: As `domain.uid.is_uid` has it: nothing that could be a path.
UID_PATTERN: Final = r"^[0-9]+(\.[0-9]+)*$"

StudyUid = Annotated[
    str, Path(pattern=UID_PATTERN, max_length=64, description="Study Instance UID, in full.", examples=["1.2.840.1"])
]
ModelName = Annotated[str, Path(pattern=r"^[\w.-]{1,64}$", description="Name of a bundle.")]
PeerName = Annotated[str, Path(min_length=1, max_length=64, description="Name of a `[[peer]]`.")]
AccountName = Annotated[str, Path(min_length=1, max_length=64, description="Name of a person or a token.")]

_WHEN: Final = {
    400: "The body cannot be read.",
    401: "Nobody is known by this token or session.",
    403: "The role does not allow it, or a page's token against forged requests is missing.",
    404: "There is nothing of that name.",
    405: "This path does not know the method.",
    409: "It cannot be done as things stand; `found` says why.",
    413: "The body is too large.",
    421: "The request was sent to a name that is not this node's; see `web.names`.",
    422: "Something is not as described here.",
    429: "Too many requests; `Retry-After` says how long to wait.",
    500: "An error inside the node; its log has the details.",
    503: "The disk is full or the database busy; `Retry-After` says when to try again.",
}

#: What every request may be answered with instead.
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Problem, "description": text} for status, text in _WHEN.items()
}


def within(moment: datetime | None) -> datetime | None:
    """A moment in UTC; one that lies outside of what UTC can name is the nearest that it can."""
    if moment is None:
        return None
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC) if moment.year == 1 else datetime.max.replace(tzinfo=UTC)


class Done(BaseModel):
    """What was done, in words."""

    done: str = Field(description="One sentence, such as the verb of the command prints.")
