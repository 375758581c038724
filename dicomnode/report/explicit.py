"""Items of sequences in Explicit VR Little Endian, in a tenth of the time that pydicom takes for thousands of them."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct, pack
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr_element, write_data_element, write_sequence_item
from pydicom.tag import Tag
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

_CHARACTER_SET = Tag("SpecificCharacterSet")

#: Tag of an item (PS3.5 7.5.1), before its length.
_ITEM = Struct("<HHL")
_ITEM_TAG = (0xFFFE, 0xE000)

#: An element with a length of 16 bits, and one of 32 behind two reserved bytes (PS3.5 7.1.2).
_SHORT, _LONG = Struct("<HH2sH"), Struct("<HH2s2xL")

_MOST_SHORT = 0xFFFF

#: Texts whose padding is a space; with nothing but ASCII in them they are the same in all character sets of ours.
_TEXTS = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM"})

#: How numbers are packed (PS3.5 6.2).
_NUMBERS = {"US": "H", "UL": "L", "FD": "d"}


class Items:
    """Encodes sequences of one object; an item that occurs more than once is encoded once.

    What is rare is left to pydicom's own writer: other representations than those of most elements, letters beyond
    ASCII, and items with a character set of their own. Objects must not change meanwhile.

    Parameters
    ----------
    root
        The object, with its Specific Character Set.
    """

    def __init__(self, root: Dataset) -> None:
        self._encodings = convert_encodings(root.get("SpecificCharacterSet") or "ISO_IR 6")
        self._around = [root]
        self._known: dict[int, bytes] = {}

    def encoded(self, items: Iterable[Dataset]) -> bytes:
        """The value of a sequence, each item with its length (PS3.5 Table 7.5-1)."""
        return b"".join([self._known.get(id(item)) or self._item(item) for item in items])

    def _item(self, item: Dataset) -> bytes:
        if _CHARACTER_SET in item:
            buffer = _buffer()
            write_sequence_item(buffer, item, self._encodings)
            found = buffer.getvalue()
        else:
            self._around.insert(0, item)
            content = b"".join([self._element(element, item) for element in item.elements()])
            del self._around[0]
            found = _ITEM.pack(*_ITEM_TAG, len(content)) + content
        self._known[id(item)] = found
        return found

    def _element(self, element: DataElement | RawDataElement, item: Dataset) -> bytes:
        if isinstance(element, RawDataElement):
            if item.original_encoding == (False, True) and element.VR not in CUSTOMIZABLE_CHARSET_VR:
                return _by_pydicom(element, self._encodings)
            element = item[element.tag]
        if element.VR == "SQ":
            value = self.encoded(element.value)
            return _LONG.pack(element.tag >> 16, element.tag & 0xFFFF, b"SQ", len(value)) + value
        plain = _plain(element.VR, element.value)
        if plain is not None and len(plain) <= _MOST_SHORT:
            return _SHORT.pack(element.tag >> 16, element.tag & 0xFFFF, element.VR.encode(), len(plain)) + plain
        correct_ambiguous_vr_element(element, item, True, list(self._around))
        return _by_pydicom(element, self._encodings)


def _plain(vr: str, value: Any) -> bytes | None:
    """The bytes of a value of a frequent kind; None for any other."""
    if vr in _TEXTS or vr == "UI":
        if not isinstance(value, str) or not value.isascii():
            return None
        return _even(value, b"\0" if vr == "UI" else b" ")
    if vr in _NUMBERS:
        if isinstance(value, int | float):
            return pack(f"<{_NUMBERS[vr]}", value)
        return pack(f"<{len(value)}{_NUMBERS[vr]}", *value) if isinstance(value, list) else None
    if vr in ("DS", "IS"):
        numbers = [value] if isinstance(value, int | float) else value
        if isinstance(numbers, str) or numbers is None:
            return None
        # As they were given, where they came as text.
        return _even("\\".join([getattr(number, "original_string", None) or str(number) for number in numbers]), b" ")
    return None


def _even(text: str, padding: bytes) -> bytes:
    encoded = text.encode("ascii")
    return encoded + padding if len(encoded) % 2 else encoded


def _by_pydicom(element: DataElement | RawDataElement, encodings: list[str]) -> bytes:
    buffer = _buffer()
    write_data_element(buffer, element, encodings)
    return buffer.getvalue()


def _buffer() -> DicomBytesIO:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    return buffer
