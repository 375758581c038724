"""What an archive has answered to one object that was posted to it (PS3.18 10.5.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from dicomnode.deliver.outcome import Verdict, status_text, verdict_of

_FAILURE_REASON, _WARNING_REASON = "00081197", "00081196"
_FAILED, _STORED = "00081198", "00081199"
_SOP_INSTANCE = "00081155"

#: Statuses that pass: time-out, too early, too many requests, trouble of the server, no room (RFC 9110 15, RFC 8470,
#: RFC 6585, RFC 4918), and what an administrator mends: a token that has run out, a right or a path that is missing.
_PASSING = frozenset({401, 403, 404, 408, 425, 429, 500, 502, 503, 504, 507})

#: Failure Reasons by which archives say that they have the object already: PS3.7 C.5.7, and that of Azure's DICOM
#: service (45070).
_DUPLICATES = frozenset({0x0111, 0xB00E})

#: However long an archive asks to be left alone: a date that is wrong must not hold results back for good.
_LONGEST_WAIT_SECONDS = 3600.0

#: An entity in XML may grow without end, and no data set needs one; a NUL betrays an encoding that would hide it.
_UNWANTED = (b"<!DOCTYPE", b"\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What one request was answered with.

    Attributes
    ----------
    content
        Of the body, as far as it was read.
    retry_after
        Header field of that name; "" for none.
    """

    status: int
    media_type: str
    content: bytes
    retry_after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What that means for the object.

    Attributes
    ----------
    reason
        The Failure or Warning Reason of the object, which has the values of a C-STORE status; None where none is given.
    unasked
        Of `DUPLICATE`: what holds where it cannot be asked whether the object is there.
    """

    verdict: Verdict
    text: str
    reason: int | None = None
    unasked: Verdict = Verdict.REFUSED


def judged(answer: Answered, sop_instance_uid: str) -> Judged:
    """Whether the archive has the object, will perhaps have it later, or never.

    What is there already, and what was answered in a way that may mean it, is `DUPLICATE`: whether it is there has to
    be asked.
    """
    phrase = _phrase(answer.status)
    if answer.status in (200, 202, 409):
        return _of_object(answer, sop_instance_uid, phrase)
    if 200 <= answer.status < 300:
        text = f"{phrase}, which is no answer to STOW-RS"
        return Judged(verdict=Verdict.DUPLICATE, text=text, unasked=Verdict.BUSY)
    return Judged(verdict=Verdict.BUSY if answer.status in _PASSING else Verdict.REFUSED, text=phrase)


def wait_seconds(retry_after: str, now: datetime) -> float:
    """How long an archive asks to be left alone, in seconds or until a date (RFC 9110 10.2.3); 0 where it does not."""
    text = retry_after.strip()
    if not text:
        return 0.0
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_WAIT_SECONDS)
    try:
        until = parsedate_to_datetime(text)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        seconds = (until - now).total_seconds()
    except (ValueError, OverflowError):
        # A date in no calendar, or a zone that leads out of it.
        return 0.0
    return min(max(0.0, seconds), _LONGEST_WAIT_SECONDS)


def _of_object(answer: Answered, uid: str, phrase: str) -> Judged:
    told = _response(answer)
    failed, stored = _item(told, _FAILED, uid), _item(told, _STORED, uid)
    if failed is not None:
        reason = _number(failed, _FAILURE_REASON)
        if reason is None:
            return Judged(verdict=Verdict.DUPLICATE, text=f"{phrase}: it failed, and no reason is given")
        verdict = Verdict.DUPLICATE if reason in _DUPLICATES else verdict_of(reason)
        # A Failure Reason means failure, whatever a C-STORE status of the same value would.
        verdict = Verdict.REFUSED if verdict is Verdict.STORED else verdict
        text = f"{phrase}: {status_text(reason)}"
        return Judged(verdict=verdict, text=text, reason=reason, unasked=Verdict.STORED)
    if stored is not None and answer.status != 409:
        warning = _number(stored, _WARNING_REASON)
        text = phrase if warning is None else f"{phrase}: {status_text(warning)}"
        return Judged(verdict=Verdict.STORED, text=text, reason=warning or 0)
    if answer.status == 200:
        # All of it was stored (PS3.18 Table 10.5.3-1), with or without a word for each.
        return Judged(verdict=Verdict.STORED, text=phrase, reason=0)
    # What was refused as a whole will be again; of what was accepted, this object may come to be there later.
    unasked = Verdict.REFUSED if answer.status == 409 else Verdict.BUSY
    return Judged(verdict=Verdict.DUPLICATE, text=f"{phrase}, which says nothing of this object", unasked=unasked)


def _response(answer: Answered) -> Mapping[str, Any]:
    """The Store Instances Response in the DICOM JSON Model; empty where there is none that can be read."""
    try:
        if answer.media_type.endswith("json"):
            found = json.loads(answer.content)
            found = found[0] if isinstance(found, list) and found else found
            return found if isinstance(found, dict) else {}
        if answer.media_type.endswith("xml") and not any(one in answer.content for one in _UNWANTED):
            return _native(fromstring(answer.content))  # noqa: S314 - without a document type there is no entity
    except (ValueError, ParseError, RecursionError):
        return {}
    return {}


def _native(parent: Any) -> dict[str, Any]:
    """A data set of the Native DICOM Model (PS3.19 A.1.5) in the JSON model."""
    found: dict[str, Any] = {}
    for attribute in parent if isinstance(parent, Element) else ():
        if _local(attribute) == "DicomAttribute":
            items = [_native(one) for one in attribute if _local(one) == "Item"]
            values = [one.text or "" for one in attribute if _local(one) == "Value"]
            found[attribute.get("tag", "").upper()] = {"Value": items or values}
    return found


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _values(data_set: Any, tag: str) -> list[Any]:
    element = data_set.get(tag) if isinstance(data_set, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _item(told: Mapping[str, Any], tag: str, uid: str) -> dict[str, Any] | None:
    for item in _values(told, tag):
        if isinstance(item, dict) and [str(one).strip("\0 ") for one in _values(item, _SOP_INSTANCE)] == [uid]:
            return item
    return None


def _number(item: Any, tag: str) -> int | None:
    for value in _values(item, tag)[:1]:
        try:
            return int(value)
        except (TypeError, ValueError):
            return None
    return None


def _phrase(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"
