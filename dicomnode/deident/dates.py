"""Moves dates by whole days, and leaves the time of day as it is."""

from __future__ import annotations

import re
from datetime import date, timedelta

_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_TIME = re.compile(r"\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?")
_DATE_TIME = re.compile(r"(\d{4})(\d{2})?(\d{2})?(\d{0,6}(?:\.\d{1,6})?)([+-]\d{4})?")

#: What stands where a date has to stand and none may (the DUMMY action): long before any image.
DUMMIES = {"DA": "19000101", "TM": "000000", "DT": "19000101000000"}


def shifted(vr: str, value: str, days: int) -> str:
    """A value of VR DA, TM or DT (PS3.5 6.2), `days` earlier; empty where it is none of them.

    A date and time that gives no day counts as the first of its month or year, and is told as exactly as it was.
    """
    value = value.strip(" \0")
    if vr == "TM":
        return value if _TIME.fullmatch(value) else ""
    if vr == "DA":
        found = _DATE.fullmatch(value)
        return _earlier(found[1], found[2], found[3], days) if found else ""
    found = _DATE_TIME.fullmatch(value)
    if not found:
        return ""
    moved = _earlier(found[1], found[2] or "01", found[3] or "01", days)
    length = 8 if found[3] else 6 if found[2] else 4
    return moved[:length] + found[4] + (found[5] or "") if moved else ""


def _earlier(year: str, month: str, day: str, days: int) -> str:
    try:
        return (date(int(year), int(month), int(day)) - timedelta(days=days)).strftime("%Y%m%d").rjust(8, "0")
    except (ValueError, OverflowError):
        return ""
