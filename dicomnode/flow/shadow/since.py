"""Reads what people write for a point in time: an age or a day."""

from __future__ import annotations

from datetime import UTC, datetime

from dicomnode.domain.clock import to_text
from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.storing.purge import age


def since_text(text: str, now: datetime) -> str:
    """UTC text of the time that lies so far back (24h, 7d, 2w) or begins that day (2026-11-20); "" for "".

    Raises
    ------
    DicomNodeError
        It is neither.
    """
    if not text:
        return ""
    try:
        return to_text(datetime.fromisoformat(text).replace(tzinfo=UTC))
    except ValueError:
        pass
    try:
        return to_text(now - age(text))
    except DicomNodeError as error:
        needed = "an age such as 24h or 7d, or a day as 2026-11-20"
        raise DicomNodeError(f"--since: found {text!r}, needed {needed}") from error
