"""How times, sizes and UIDs are written on pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from markupsafe import Markup

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")

#: A time as the database writes it, in the middle of a text.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)")

#: Characters of a UID at either end that tell it from others on one page.
_HEAD, _TAIL = 8, 14


def local(at: str | datetime | None) -> Markup | str:
    """A time in the zone of this machine, with UTC in its title; "" for none."""
    if not at:
        return ""
    utc = (datetime.fromisoformat(at) if isinstance(at, str) else at).astimezone(UTC)
    there = utc.astimezone()
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"), utc.strftime("%Y-%m-%d %H:%M:%S"), there.strftime("%Y-%m-%d %H:%M:%S")
    )


def words(text: str) -> Markup:
    """A line of a story, with the times in it as `local` writes them."""
    parts = _MOMENT.split(text)
    return Markup("").join(_moment(part) if number % 2 else part for number, part in enumerate(parts))


def _moment(text: str) -> Markup | str:
    """A time; what only looks like one, as anybody may have written it, stays as it is."""
    try:
        return local(text)
    except (ValueError, OverflowError):
        return text


def zone() -> str:
    """The zone of this machine: its name and how far it is from UTC."""
    now = datetime.now().astimezone()
    offset = now.strftime("%z")
    name = now.tzname() or ""
    return name if name == "UTC" else f"{name} (UTC{offset[:3]}:{offset[3:]})"


def size(count: float) -> str:
    """Bytes in the unit that leaves fewest digits."""
    value = float(count)
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.1f} {unit}"


def lasting(seconds: float) -> str:
    """A duration in the two largest units."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def cut_uid(uid: str) -> str:
    """Both ends of a long UID; links and titles have all of it."""
    return uid if len(uid) <= _HEAD + _TAIL + 3 else f"{uid[:_HEAD]}…{uid[-_TAIL:]}"


def day(text: str) -> str:
    """A DA value (PS3.5 6.2) as a date; what is none stays."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdecimal() else text


def person(text: str) -> str:
    """A PN value (PS3.5 6.2.1) for reading."""
    family, _, given = text.split("=")[0].partition("^")
    return ", ".join(filter(None, (family.strip(), " ".join(given.replace("^", " ").split()))))
