"""What the headers of a series say under a keyword, wherever single-frame and multi-frame objects keep it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items

from dicomnode.domain.finding import Plane, SourceSeries

#: What pydicom raises, when asked for a value, on bytes that are none of its value representation.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, NotImplementedError, struct.error)


def values(source: SourceSeries, keyword: str) -> tuple[Any, ...]:
    """The values of every plane that states the attribute, repetitions included; empty ones are left out."""
    return tuple(value for plane in source.planes for value in _flat(_of(plane, keyword)))


def texts(source: SourceSeries, keyword: str) -> tuple[str, ...]:
    """The different values of an attribute as texts, in the order of the planes."""
    return tuple(dict.fromkeys(text for value in values(source, keyword) if (text := str(value).strip())))


def numbers(source: SourceSeries, keyword: str) -> tuple[float, ...]:
    """The values of an attribute that are positive numbers, one for every plane that states one.

    Zero is how converters and anonymisers write that they do not know (KVP of the IBSI phantoms).
    """
    return tuple(found for value in values(source, keyword) if (found := _number(value)) > 0)


def items(source: SourceSeries, keyword: str) -> Iterator[Dataset]:
    """The items of a sequence in every distinct header, at its top or in its functional groups."""
    seen = set()
    for plane in source.planes:
        found = _of(plane, keyword)
        if isinstance(found, Items) and id(found) not in seen:
            seen.add(id(found))
            yield from found


def codes(sequence: Iterable[Dataset]) -> Iterator[str]:
    """Values and meanings of code items (PS3.3 section 8)."""
    for item in sequence:
        yield from (str(item.get(keyword) or "") for keyword in ("CodeValue", "LongCodeValue", "CodeMeaning"))


def _of(plane: Plane, keyword: str) -> Any:
    """The value of an attribute for one plane; None where it cannot be read, because its bytes break the standard."""
    try:
        return _found(plane, keyword)
    except UNREADABLE:
        return None


def _found(plane: Plane, keyword: str) -> Any:
    """The value of an attribute for one plane.

    A multi-frame object states it at its top, or in a functional group of the frame, or in one that all frames share
    (PS3.3 C.7.6.16).
    """
    dataset = plane.dataset
    if keyword in dataset:
        return dataset.get(keyword)
    places: list[Dataset] = []
    if plane.frame_number is not None:
        places += list(dataset.get("PerFrameFunctionalGroupsSequence") or ())[plane.frame_number - 1 :][:1]
    places += list(dataset.get("SharedFunctionalGroupsSequence") or ())
    for place in places:
        if keyword in place:
            return place.get(keyword)
        for group in place:
            if group.VR == "SQ" and group.value and keyword in group.value[0]:
                return group.value[0].get(keyword)
    return None


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, MultiValue | Items | list | tuple):
        yield from value
    elif value not in {None, ""}:
        yield value


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
