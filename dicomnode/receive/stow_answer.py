"""What a STOW-RS request is answered with: status and the Store Instances Response (PS3.18 10.5.3, Annex I)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from pydicom.datadict import dictionary_VR, keyword_for_tag

from dicomnode.domain.errors import OutOfResources, Refused

JSON = "application/dicom+json"
XML = "application/dicom+xml"

#: How long a sender is asked to wait when there is no room: removal looks at the disk every few seconds, and jobs take
#: minutes.
RETRY_AFTER_SECONDS = 120

_RETRIEVE_URL = "00081190"
_FAILURE_REASON = "00081197"
_FAILED, _STORED, _OTHERS = "00081198", "00081199", "0008119A"
_SOP_CLASS, _SOP_INSTANCE = "00081150", "00081155"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """One part of a request.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid
        "" where they could not be read.
    refusal
        Why it was not kept; None when it was.
    """

    sop_class_uid: str
    sop_instance_uid: str
    refusal: Refused | None = None


def status_of(parts: Sequence[Brought]) -> int:
    """HTTP status (PS3.18 Table 10.5.3-1); 503 where nothing was kept and trying again may help."""
    refusals = [part.refusal for part in parts if part.refusal is not None]
    if not refusals:
        return 200
    if len(refusals) < len(parts):
        return 202
    return 503 if any(isinstance(one, OutOfResources) for one in refusals) else 409


def response(parts: Sequence[Brought]) -> dict[str, Any]:
    """The Store Instances Response in the DICOM JSON Model (PS3.18 Annex F)."""
    stored = [_named(part) for part in parts if part.refusal is None]
    failed = [
        {**_named(part), _FAILURE_REASON: _element(_FAILURE_REASON, part.refusal.status)}
        for part in parts
        if part.refusal is not None and part.sop_instance_uid
    ]
    others = [
        {_FAILURE_REASON: _element(_FAILURE_REASON, part.refusal.status)}
        for part in parts
        if part.refusal is not None and not part.sop_instance_uid
    ]
    answer: dict[str, Any] = {_RETRIEVE_URL: {"vr": "UR"}}  # nothing is retrieved from here by WADO-RS
    for tag, items in ((_FAILED, failed), (_STORED, stored), (_OTHERS, others)):
        if items:
            answer[tag] = {"vr": "SQ", "Value": items}
    return answer


def preferred(accept: str) -> str | None:
    """The media type in which to answer a request with this Accept header; None where neither will do (PS3.18 8.7.5).

    What is equally welcome is answered as JSON, the default.
    """
    best, found = 0.0, None
    for kind in (JSON, XML):
        quality = max((_quality(one, kind) for one in (accept or "*/*").lower().split(",")), default=0.0)
        if quality > best:
            best, found = quality, kind
    return found


def encoded(answer: Mapping[str, Any], kind: str) -> bytes:
    """The response in that media type."""
    if kind == JSON:
        return json.dumps(answer).encode("ascii")
    root = Element("NativeDicomModel", {"xml:space": "preserve"})
    _native(root, answer)
    content: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _quality(one: str, kind: str) -> float:
    name, *parameters = (part.strip() for part in one.split(";"))
    if name not in (kind, "*/*", "application/*", *(["application/json"] if kind == JSON else [])):
        return 0.0
    weight = next((part.removeprefix("q=") for part in parameters if part.startswith("q=")), "1")
    try:
        return float(weight)
    except ValueError:
        return 0.0


def _named(part: Brought) -> dict[str, Any]:
    return {_SOP_CLASS: _element(_SOP_CLASS, part.sop_class_uid),
            _SOP_INSTANCE: _element(_SOP_INSTANCE, part.sop_instance_uid)}  # fmt: skip


def _element(tag: str, value: Any) -> dict[str, Any]:
    return {"vr": dictionary_VR(int(tag, 16)), "Value": [value]}


def _native(parent: Element, data_set: Mapping[str, Any]) -> None:
    """The Native DICOM Model (PS3.19 A.1.5) of a data set in the JSON model, which has the same content."""
    for tag, element in data_set.items():
        attribute = SubElement(
            parent, "DicomAttribute", {"tag": tag, "vr": element["vr"], "keyword": keyword_for_tag(int(tag, 16))}
        )
        for number, value in enumerate(element.get("Value", ()), start=1):
            if element["vr"] == "SQ":
                _native(SubElement(attribute, "Item", {"number": str(number)}), value)
            else:
                SubElement(attribute, "Value", {"number": str(number)}).text = str(value)
