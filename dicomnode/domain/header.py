"""The attributes of one instance as read at the door, in the form of the DICOM JSON Model (PS3.18 Annex F)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydicom.datadict import tag_for_keyword

#: tag as eight hexadecimal digits → {"vr": …, "Value": […]}
JsonAttributes = Mapping[str, Mapping[str, Any]]


@lru_cache(maxsize=4096)
def tag_of(keyword: str) -> str:
    """Tag of a DICOM keyword as eight hexadecimal digits, or "" if the dictionary has no such keyword."""
    tag = tag_for_keyword(keyword)
    return "" if tag is None else f"{tag:08X}"


@dataclass(frozen=True, slots=True)
class Header:
    """Attributes of one instance: those of its series, overridden by its own.

    Parameters
    ----------
    series
        Attributes shared by the series (those of its first instance).
    own
        Attributes in which this instance differs; an entry of `{}` says that it lacks the attribute.
    """

    series: JsonAttributes
    own: JsonAttributes

    @classmethod
    def of(cls, attributes: JsonAttributes) -> Header:
        """A header of its own, shared with no series."""
        return cls(attributes, {})

    def element(self, keyword: str) -> Mapping[str, Any]:
        """The JSON element of `keyword`, empty when absent."""
        tag = tag_of(keyword)
        found = self.own.get(tag)
        return self.series.get(tag, {}) if found is None else found

    def vr(self, keyword: str) -> str:
        """Value representation, or "" when absent."""
        return str(self.element(keyword).get("vr", ""))

    def values(self, keyword: str) -> tuple[Any, ...]:
        """All values: strings, numbers or, for a sequence, headers; empty values are left out."""
        element = self.element(keyword)
        return tuple(
            _value(element["vr"], value) for value in element.get("Value", ()) if value is not None and value != ""
        )

    def first(self, keyword: str, default: Any = None) -> Any:
        """The first value, or `default` when absent or empty."""
        values = self.values(keyword)
        return values[0] if values else default

    def text(self, keyword: str) -> str:
        """The values as DICOM would write them, joined by backslashes; "" when absent."""
        return "\\".join(str(value) for value in self.values(keyword))

    def __contains__(self, keyword: str) -> bool:
        return bool(self.values(keyword))

    def __iter__(self) -> Iterator[str]:
        """Tags present in this header."""
        yield from (tag for tag in self.series if self.own.get(tag, self.series[tag]))
        yield from (tag for tag in self.own if tag not in self.series)

    def merged(self) -> dict[str, Mapping[str, Any]]:
        """One JSON dataset with the series' and the instance's own attributes."""
        if not self.own:
            return dict(self.series)
        return {tag: self.own.get(tag) or self.series[tag] for tag in self}


def differences(attributes: JsonAttributes, series: JsonAttributes) -> dict[str, Mapping[str, Any]]:
    """What `Header.own` has to hold so that `Header(series, own)` equals `attributes`."""
    own = {tag: element for tag, element in attributes.items() if series.get(tag) != element}
    own.update({tag: {} for tag in series if tag not in attributes})
    return own


def _value(vr: str, value: Any) -> Any:
    if vr == "SQ":
        return Header.of(value)
    if vr == "PN" and isinstance(value, Mapping):
        return str(value.get("Alphabetic") or value.get("Ideographic") or value.get("Phonetic") or "")
    return value
