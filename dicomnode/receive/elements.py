"""Walks an encoded data set and keeps what a header needs, without decoding pixels (PS3.5 chapter 7)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from mmap import mmap
from struct import Struct
from typing import Any, NamedTuple

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.uid import UID

from dicomnode.domain.errors import CannotUnderstand
from dicomnode.receive.values import BULK_VRS, to_json

Attributes = dict[str, Mapping[str, Any]]

#: (7FE0,0008), (7FE0,0009) and (7FE0,0010), which end the header.
PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})

_SPECIFIC_CHARACTER_SET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103
_CONTOUR_DATA = 0x30060050
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_MOST_NESTED = 32

#: Defined terms of Specific Character Set that are looked at: there are fewer that may be combined (PS3.3 C.12.1.1.2).
_MOST_CHARACTER_SETS = 16

#: Elements and items of one header. Enhanced MR of 10 000 frames with 60 elements each has 600 000; a million take
#: about half a gigabyte and a few seconds.
_MOST_ELEMENTS = 1_000_000

#: Longer values are not remembered: those that repeat are short, and there are 4096.
_REPEATED_BYTES = 64

#: Bytes of all values that are kept of one header.
_MOST_VALUE_BYTES = 64 << 20

#: VRs whose explicit form has a length of 32 bits (PS3.5 Table 7.1-1), and those with 16 bits (Table 7.1-2).
_LONG = frozenset({b"OB", b"OW", b"OD", b"OF", b"OL", b"OV", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_TAG_LENGTH = {"<": Struct("<HHL"), ">": Struct(">HHL")}
_TAG_VR_LENGTH = {"<": Struct("<HH2sH"), ">": Struct(">HH2sH")}
_TAG_VR = Struct("<HH2s")
_NOT_ZERO = re.compile(rb"[^\0]")
_LENGTH = {"<": Struct("<L"), ">": Struct(">L")}


class Encoding(NamedTuple):
    """How elements are laid out: explicit or implicit VR, "<" little or ">" big endian."""

    explicit: bool
    order: str

    @classmethod
    def of(cls, transfer_syntax_uid: str) -> Encoding:
        """That of a transfer syntax, deflated ones once they are inflated."""
        uid = UID(transfer_syntax_uid)
        if uid.is_private or not uid.is_transfer_syntax:
            return cls(True, "<")
        return cls(not uid.is_implicit_VR, "<" if uid.is_little_endian else ">")


_IMPLICIT_LITTLE, _EXPLICIT_LITTLE = Encoding(False, "<"), Encoding(True, "<")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A header and where in the buffer the pixel data value lies; both ends 0 without pixels.

    `contours` is the SHA-256 of the points of all contours, "" where there are none: they stay out of the header.
    """

    attributes: Attributes
    pixels_start: int
    pixels_end: int
    contours: str = ""


def parse(buffer: bytes | mmap, start: int, encoding: Encoding) -> Parsed:
    """Header of the data set that begins at `start` and ends with the buffer.

    Raises
    ------
    CannotUnderstand
        The bytes end too early or are not a data set.
    """
    walk = _Walk(buffer)
    attributes, _ = walk.data_set(start, len(buffer), encoding, ("latin-1",), 0)
    contours = walk.contours.hexdigest() if walk.contours else ""
    return Parsed(attributes=attributes, pixels_start=walk.pixels[0], pixels_end=walk.pixels[1], contours=contours)


@lru_cache(maxsize=4096)
def repeated(vr: str, value: bytes, order: str, codecs: tuple[str, ...]) -> Mapping[str, Any] | None:
    """`to_json`, once for what the instances of a series have in common; nobody changes what it returns."""
    return to_json(vr, value, order, codecs)


class _Walk:
    def __init__(self, buffer: bytes | mmap) -> None:
        self.buffer = buffer
        self.pixels = (0, 0)
        self.contours: Any = None
        self.signed = False
        self.elements = 0
        self.value_bytes = 0
        self.not_zero = -1

    def data_set(
        self, at: int, end: int, encoding: Encoding, codecs: tuple[str, ...], depth: int, *, open_end: bool = False
    ) -> tuple[Attributes, int]:
        """Attributes from `at` up to `end`, or with `open_end` up to the item delimiter; and where reading stopped."""
        if depth > _MOST_NESTED:
            raise CannotUnderstand(f"data set: sequences nested more than {_MOST_NESTED} deep")
        kept: Attributes = {}
        while at + 8 <= end:
            if encoding == _EXPLICIT_LITTLE:
                at = self._plain(at, end, codecs, kept)
                if at + 8 > end:
                    break
            self._count()
            tag, vr, length, value = self._head(at, end, encoding)
            if tag == _ITEM_END:
                return kept, value
            if depth == 0:
                if tag in PIXEL_TAGS:
                    self.pixels = (value, self._end_of_pixels(tag, value, length, encoding.order))
                    return kept, end
                if tag == 0 and self._only_padding(at, end):
                    return kept, end
            # Private elements (odd group) and group lengths say nothing to a rule.
            keep = not (tag >> 16) & 1 and tag & 0xFFFF and tag != _CONTOUR_DATA
            if length == _UNDEFINED:
                inner = _IMPLICIT_LITTLE if vr == "UN" else encoding  # PS3.5 6.2.2
                if vr in BULK_VRS and vr != "UN":
                    at = self._end_of_fragments(tag, value, encoding.order)[1]
                    continue
                items, at = self._items(value, end, inner, codecs, depth, open_end=True)
                if keep:
                    kept[f"{tag:08X}"] = {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
                continue
            at = value + length
            if at > end:
                raise _cut_short(tag, length, end - value)
            if tag == _CONTOUR_DATA:
                self.contours = self.contours or sha256()
                # Decimal strings are the same bytes in every transfer syntax but for their padding (PS3.5 6.2).
                self.contours.update(self.buffer[value:at].rstrip(b" \0") + b"\n")
            if not keep:
                continue
            inner = encoding
            if vr == "UN" and encoding.explicit:
                # A relay that did not know the element wrote it so; the content stays implicit (PS3.5 6.2.2).
                vr, inner = self._settle(_dictionary_vr(tag), tag), _IMPLICIT_LITTLE
            if vr == "SQ":
                items, _ = self._items(value, at, inner, codecs, depth)
                kept[f"{tag:08X}"] = {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
                continue
            content = self.buffer[value:at] if vr not in BULK_VRS else b""
            converted = repeated if length <= _REPEATED_BYTES else to_json
            element = converted(vr, content, inner.order, codecs)
            if element is not None:
                self._count(length)
                kept[f"{tag:08X}"] = element
                if tag == _SPECIFIC_CHARACTER_SET:
                    codecs = codecs_of(element.get("Value", ()))
                elif tag == _PIXEL_REPRESENTATION:
                    self.signed = element.get("Value") == [1]
        if open_end or not self._only_padding(at, end):
            raise CannotUnderstand(f"data set: ends inside an element at byte {at}")
        return kept, end

    def _plain(self, at: int, end: int, codecs: tuple[str, ...], kept: Attributes) -> int:
        """Keep the short elements from `at` on that need no thought, which most are; where the first other begins."""
        buffer = self.buffer
        while at + 8 <= end:
            known = _plain_head(buffer[at : at + 6])
            length = buffer[at + 6] | buffer[at + 7] << 8
            stop = at + 8 + length
            if known is None or length > _REPEATED_BYTES or stop > end:
                break
            tag, vr = known
            element = repeated(vr, buffer[at + 8 : stop], "<", codecs)
            self._count()
            if element is not None:
                self._count(length)
                kept[tag] = element
            at = stop
        return at

    def _head(self, at: int, end: int, encoding: Encoding) -> tuple[int, str, int, int]:
        """Tag, VR, length and start of the value of the element at `at`."""
        if encoding.explicit:
            group, element, raw, length = _TAG_VR_LENGTH[encoding.order].unpack_from(self.buffer, at)
            if b"AA" <= raw <= b"ZZ" and raw.isalpha():
                tag = group << 16 | element
                if raw not in _LONG:
                    return tag, self._settle(raw.decode("ascii"), tag), length, at + 8
                if at + 12 > end:
                    raise CannotUnderstand(f"data set: ends inside an element at byte {at}")
                (length,) = _LENGTH[encoding.order].unpack_from(self.buffer, at + 8)
                return tag, raw.decode("ascii"), length, at + 12
        # Delimiters have no VR in any syntax, and some writers fall back to implicit VR inside sequences.
        group, element, length = _TAG_LENGTH[encoding.order].unpack_from(self.buffer, at)
        tag = group << 16 | element
        return tag, self._settle(_dictionary_vr(tag), tag), length, at + 8

    def _settle(self, vr: str, tag: int) -> str:
        """The VR to use where the dictionary offers a choice, or where the one found is none of the standard's."""
        if vr in {"US or SS", "US or SS or OW"}:
            return "SS" if self.signed else "US"
        if " or " in vr:
            return "OW"
        return vr if vr in _KNOWN_VRS else _dictionary_vr(tag)

    def _items(
        self, at: int, end: int, encoding: Encoding, codecs: tuple[str, ...], depth: int, *, open_end: bool = False
    ) -> tuple[list[Attributes], int]:
        items: list[Attributes] = []
        while at + 8 <= end:
            group, element, length = _TAG_LENGTH[encoding.order].unpack_from(self.buffer, at)
            tag = group << 16 | element
            at += 8
            if tag == _SEQUENCE_END:
                return items, at
            if tag != _ITEM:
                raise CannotUnderstand(f"data set: ({group:04X},{element:04X}) at byte {at - 8}, expected an item")
            undefined = length == _UNDEFINED
            stop = end if undefined else at + length
            if stop > end:
                raise _cut_short(tag, length, end - at)
            self._count()
            item, after = self.data_set(at, stop, encoding, codecs, depth + 1, open_end=undefined)
            items.append(item)
            at = after if undefined else stop
        if open_end:
            raise CannotUnderstand(f"data set: ends inside a sequence at byte {at}")
        return items, at

    def _end_of_pixels(self, tag: int, value: int, length: int, order: str) -> int:
        if length == _UNDEFINED:
            return self._end_of_fragments(tag, value, order)[0]
        if value + length > len(self.buffer):
            raise _cut_short(tag, length, len(self.buffer) - value)
        return value + length

    def _end_of_fragments(self, tag: int, at: int, order: str) -> tuple[int, int]:
        """End of the encapsulated value that begins at `at` (PS3.5 A.4), without and with its delimiter."""
        while at + 8 <= len(self.buffer):
            group, element, length = _TAG_LENGTH[order].unpack_from(self.buffer, at)
            if group << 16 | element == _SEQUENCE_END:
                return at, at + 8
            if group << 16 | element != _ITEM or at + 8 + length > len(self.buffer):
                break
            at += 8 + length
        raise CannotUnderstand(
            f"({tag >> 16:04X},{tag & 0xFFFF:04X}): fragments end at byte {at}, expected a delimiter"
        )

    def _only_padding(self, at: int, end: int) -> bool:
        # Looked for once: a run of zeros with something behind it would be walked through at each of its elements.
        if self.not_zero < at:
            found = _NOT_ZERO.search(self.buffer, at)
            self.not_zero = found.start() if found else len(self.buffer)
        return self.not_zero >= end

    def _count(self, value_bytes: int = 0) -> None:
        self.elements += not value_bytes
        self.value_bytes += value_bytes
        if self.elements > _MOST_ELEMENTS or self.value_bytes > _MOST_VALUE_BYTES:
            raise CannotUnderstand(
                f"data set: a header of more than {_MOST_ELEMENTS} elements or {_MOST_VALUE_BYTES >> 20} MiB"
            )


_SHORT_VRS = ("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST")
_PLAIN_VRS = frozenset({*_SHORT_VRS, "TM", "UI", "UL", "US"})
_KNOWN_VRS = _PLAIN_VRS | {vr.decode("ascii") for vr in _LONG}


@lru_cache(maxsize=4096)
def _plain_head(head: bytes) -> tuple[str, str] | None:
    """Tag and VR of an element of explicit VR that neither changes what follows nor ends it; None for any other."""
    group, element, raw = _TAG_VR.unpack(head)
    tag, vr = group << 16 | element, raw.decode("latin-1")
    special = tag in PIXEL_TAGS or tag in {_SPECIFIC_CHARACTER_SET, _PIXEL_REPRESENTATION, _CONTOUR_DATA}
    if special or group & 1 or not element or vr not in _PLAIN_VRS:
        return None
    return f"{tag:08X}", vr


@cache
def _dictionary_vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def codecs_of(defined_terms: Sequence[object]) -> tuple[str, ...]:
    """Python codecs of the values of Specific Character Set (PS3.3 C.12.1.1.2); unknown ones read as Latin-1.

    A value is what its VR made of it, which may be no text at all. Only the first are looked at: they are part of
    the name under which every value after them is remembered, and 65 000 of them would be hashed for each.
    """
    named = [term if isinstance(term, str) else "" for term in defined_terms[:_MOST_CHARACTER_SETS]]
    return tuple(python_encoding.get(term, "latin-1") for term in named) or ("latin-1",)


def _cut_short(tag: int, length: int, left: int) -> CannotUnderstand:
    return CannotUnderstand(f"({tag >> 16:04X},{tag & 0xFFFF:04X}): {left} bytes are left, needed {length}")
