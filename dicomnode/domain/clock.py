"""Time as the node keeps it: UTC, aware, one text form that sorts as it runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

#: The one source of "now"; tests hand in their own.
Clock = Callable[[], datetime]

_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"
_OFFSET = len("+00:00")


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds and `Z`; fixed width, so that text order is time order."""
    return f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[:-_OFFSET]}Z"


def from_text(text: str) -> datetime:
    """The inverse of `to_text`."""
    return datetime.strptime(text, _FORM).replace(tzinfo=UTC)
