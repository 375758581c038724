"""What a header says of an attribute; what many headers of a series encode alike is converted once for all of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.tag import BaseTag

#: Value representations whose values depend on nothing but their bytes and, for text, the character set. Sequences
#: know their parents, and the ambiguous ones depend on Pixel Representation.
_PLAIN = frozenset(
    {"AS", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US", "UT"}
)

#: Encodings that are remembered: some fifty of a series are shared, and each slice has a few of its own.
_REMEMBERED = 4096

_ABSENT = object()


def told(dataset: Dataset, keyword: str, default: Any = None) -> Any:
    """The value of an attribute, as `dataset.get(keyword, default)` gives it; it is not to be changed.

    Raises
    ------
    ValueError, KeyError, …
        What pydicom raises on a value that cannot be read (`faults.READ_FAULTS`).
    """
    tag = _tag_of(keyword)
    if tag is None or tag not in dataset.keys():  # noqa: SIM118, the data set itself would look the tag up again
        return default
    element: Any = dataset.get_item(tag)
    if isinstance(element, RawDataElement) and element.value is not None:
        kind = element.VR or _kind_of(tag)
        if kind in _PLAIN:
            characters = dataset.original_character_set
            several = characters if isinstance(characters, str) else tuple(characters)
            return _converted(tag, kind, element.value, element.is_little_endian, several)
    return dataset.get(keyword, default)


def stated(dataset: Dataset, keyword: str) -> Any:
    """The value of an attribute that has to be there, as `dataset[keyword].value` gives it; not to be changed.

    Raises
    ------
    KeyError
        If it is absent, beside what `told` raises.
    """
    value = told(dataset, keyword, _ABSENT)
    return dataset[keyword].value if value is _ABSENT else value


@lru_cache(maxsize=_REMEMBERED)
def _converted(tag: BaseTag, kind: str, value: bytes, little_endian: bool, characters: str | tuple[str, ...]) -> Any:
    raw = RawDataElement(tag, kind, len(value), value, 0, False, little_endian)
    return convert_raw_data_element(raw, encoding=characters if isinstance(characters, str) else [*characters]).value


@lru_cache(maxsize=_REMEMBERED)
def _tag_of(keyword: str) -> BaseTag | None:
    tag = tag_for_keyword(keyword)
    return None if tag is None else BaseTag(tag)


@lru_cache(maxsize=_REMEMBERED)
def _kind_of(tag: BaseTag) -> str:
    return dictionary_VR(tag)
