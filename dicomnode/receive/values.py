"""Turns the bytes of one element's value into the DICOM JSON Model (PS3.18 Annex F)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from typing import Any

from pydicom.charset import decode_bytes
from pydicom.valuerep import TEXT_VR_DELIMS

#: Binary and unknown content: never part of a header.
BULK_VRS = frozenset({"OB", "OW", "OD", "OF", "OL", "OV", "UN"})

#: Longer values are tables and contours, which no rule asks for and which would fill the database.
LONGEST_VALUE_BYTES = 65536

_CHARSET_VRS = frozenset({"LO", "SH", "UC", "PN", "ST", "LT", "UT"})
_SINGLE_VALUE_VRS = frozenset({"ST", "LT", "UT", "UR"})
_PADDING = " \x00"
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_STRUCTS: dict[tuple[str, str], Struct] = {
    (vr, order): Struct(order + letter) for vr, letter in _NUMBERS.items() for order in "<>"
}
_PERSON_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def to_json(vr: str, value: bytes, order: str, encodings: Sequence[str]) -> Mapping[str, Any] | None:
    """One element that is not a sequence.

    Parameters
    ----------
    vr
        Value representation, already settled where the dictionary leaves a choice.
    value
        Its bytes as sent.
    order
        "<" for little, ">" for big endian.
    encodings
        Python codecs of the Specific Character Set in force.

    Returns
    -------
    dict or None
        None for a value that does not belong into a header or that is not what its VR says: a wrong number must not
        look like a number, and one bad element must not cost the object.
    """
    if vr in BULK_VRS or len(value) > LONGEST_VALUE_BYTES:
        return None
    if not value:
        return {"vr": vr}
    convert = _CONVERTERS.get(vr)
    try:
        if convert is not None:
            values = convert(vr, value, order)
        else:
            values = _texts(vr, value, encodings)
    except (ValueError, LookupError, OverflowError):
        return None
    return {"vr": vr, "Value": values} if any(each is not None for each in values) else {"vr": vr}


def _texts(vr: str, value: bytes, encodings: Sequence[str]) -> list[Any]:
    if vr not in _CHARSET_VRS:
        text = value.decode("latin-1")
    elif len(encodings) == 1:
        text = value.decode(encodings[0], errors="replace")
    else:
        text = decode_bytes(value, encodings, TEXT_VR_DELIMS)
    if vr in _SINGLE_VALUE_VRS:
        return [text.rstrip(_PADDING) or None]
    texts = [each.strip(_PADDING) or None for each in text.split("\\")]
    return [_person_name(each) for each in texts] if vr == "PN" else texts


def _person_name(text: str | None) -> Mapping[str, str] | None:
    if text is None:
        return None
    groups = zip(_PERSON_NAME_GROUPS, text.split("="), strict=False)
    return {name: group.strip(_PADDING) for name, group in groups if group.strip(_PADDING)} or None


def _binary(vr: str, value: bytes, order: str) -> list[Any]:
    struct = _STRUCTS[vr, order]
    if len(value) % struct.size:
        raise ValueError(f"{len(value)} bytes are no whole number of {vr} values")
    return [_finite(number) for (number,) in struct.iter_unpack(value)]


def _decimal(_vr: str, value: bytes, _order: str) -> list[Any]:
    return [_finite(float(text)) if text else None for text in _ascii(value)]


def _integer(_vr: str, value: bytes, _order: str) -> list[Any]:
    return [int(text) if text else None for text in _ascii(value)]


def _tag(_vr: str, value: bytes, order: str) -> list[Any]:
    pair = Struct(f"{order}HH")
    if len(value) % pair.size:
        raise ValueError(f"{len(value)} bytes are no whole number of tags")
    return [f"{group:04X}{element:04X}" for group, element in pair.iter_unpack(value)]


def _ascii(value: bytes) -> list[str]:
    return [text.strip(_PADDING) for text in value.decode("ascii").split("\\")]


def _finite(number: float) -> float:
    # JSON has no word for them.
    if not math.isfinite(number):
        raise ValueError(f"{number} is not a number")
    return number


_CONVERTERS: dict[str, Callable[[str, bytes, str], list[Any]]] = {
    **dict.fromkeys(_NUMBERS, _binary),
    "DS": _decimal,
    "IS": _integer,
    "AT": _tag,
}
