"""Reads a moment as people write it: a day, a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from dicomnode.domain.errors import DicomNodeError

_AGO = re.compile(r"(\d{1,6}(?:\.\d+)?)\s*(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, now: datetime, what: str) -> datetime:
    """The moment that a text means; without a zone it is that of this machine.

    Parameters
    ----------
    text
        `2026-11-21`, `2026-11-21T08:00`, or `24h`, `7d`, `30m`, `2w` before `now`.
    what
        How messages call it.

    Raises
    ------
    DicomNodeError
        If it means none.
    """
    ago = _AGO.fullmatch(text.strip().lower())
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        remedy = "needed a day (2026-11-21), a time (2026-11-21T08:00) or how long ago (24h, 7d)"
        raise DicomNodeError(f"{what}: found {text}, {remedy}") from error


def end_of_day(now: datetime) -> datetime:
    """The end of this machine's day.

    Scanners have clocks of their own, which run ahead, and DICOM's times no zone: an image of later today is here, too.
    """
    return now.astimezone().replace(hour=23, minute=59, second=59, microsecond=0)
