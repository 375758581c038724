"""Attributes of one PET image or frame, wherever classic, enhanced and legacy-converted objects keep them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.valuerep import DA, DT, TM

from dicomnode.domain.errors import Unsuitable


class PetHeader:
    """Reads a header by keyword and keeps what was unusual.

    Parameters
    ----------
    dataset
        Header of a PET image, without pixel data.
    frame_number
        Counts from 1 in a multi-frame object (PS3.3 C.7.6.16); of no effect in others.
    """

    def __init__(self, dataset: Dataset, frame_number: int = 1) -> None:
        self.dataset = dataset
        self.warnings: list[str] = []
        self._levels = tuple(_levels(dataset, frame_number))

    def unsuitable(self, reason: str) -> Unsuitable:
        """An error that begins with the instance."""
        return Unsuitable(f"instance {self.dataset.get('SOPInstanceUID', 'without UID')}: {reason}")

    def warn(self, text: str) -> None:
        """Note something for the report, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def value(self, keyword: str) -> Any:
        """The first value that is not empty, from the functional groups, then the image itself; None without one."""
        for level in self._levels:
            found = self._read(level, keyword)
            if found is not None:
                return found
        return None

    def text(self, keyword: str) -> str:
        """A single value as upper-case text; empty without one."""
        found = self.value(keyword)
        return "" if found is None else str(found).strip().upper()

    def texts(self, keyword: str) -> tuple[str, ...]:
        """All values as upper-case text."""
        found = self.value(keyword)
        values = found if isinstance(found, MultiValue | list) else [] if found is None else [found]
        return tuple(str(value).strip().upper() for value in values)

    def number(self, keyword: str) -> float | None:
        """A finite number, or None.

        Raises
        ------
        Unsuitable
            If there is a value that is no finite number.
        """
        return self._finite(self.value(keyword), keyword)

    def item(self, keyword: str) -> PetHeader:
        """The first item of a sequence as a header of its own; an empty one where there is none."""
        return next(iter(self.items(keyword)), self._inner(Dataset()))

    def items(self, keyword: str) -> list[PetHeader]:
        """The items of a sequence as headers of their own."""
        return [self._inner(one) for one in self.value(keyword) or ()]

    def _inner(self, content: Dataset) -> PetHeader:
        inner = PetHeader(content)
        inner.dataset, inner.warnings = self.dataset, self.warnings
        return inner

    def moment(self, keyword: str) -> datetime | None:
        """A date with time (VR DT) as local time of the device (PS3.5 6.2)."""
        return self._moment(self.value(keyword), keyword)

    def moment_of(self, name: str) -> datetime | None:
        """The date and time of `Series`, `Acquisition` …, from its two elements; the study's date where it has none."""
        day, clock = self.day_of(name), self.clock(f"{name}Time")
        return None if day is None or clock is None else datetime.combine(day, clock)

    def day_of(self, name: str) -> date | None:
        """The date of `Series`, `Acquisition` …, else the one of the series, else that of the study."""
        for keyword in (f"{name}Date", "SeriesDate", "StudyDate"):
            text = self.text(keyword)
            if text:
                parsed = self._parsed(DA, text, keyword)
                return date(parsed.year, parsed.month, parsed.day)
        return None

    def clock(self, keyword: str) -> time | None:
        """A time of day (VR TM)."""
        text = self.text(keyword)
        if not text:
            return None
        parsed = self._parsed(TM, text, keyword)
        return time(parsed.hour, parsed.minute, parsed.second, parsed.microsecond)

    def private(self, group: int, element: int, creator: str = "") -> str:
        """A private element as text, empty without one; with a creator only from the block that it reserved."""
        for level in self._levels:
            tag = Tag(group, 0x1000 | element)
            if creator:
                try:
                    tag = level.private_block(group, creator).get_tag(element)
                except KeyError:
                    continue
            if tag in level:
                value = level[tag].value
                text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
                return text.strip("\0 ")
        return ""

    def private_number(self, group: int, element: int, name: str) -> float:
        """A private element as a number, 0 without one."""
        return self._finite(self.private(group, element) or None, name) or 0.0

    def private_moment(self, group: int, element: int, creator: str, name: str) -> datetime | None:
        """A private element as date with time."""
        return self._moment(self.private(group, element, creator) or None, name)

    def _read(self, level: Dataset, keyword: str) -> Any:
        try:
            found = level.get(keyword)
        except (ValueError, TypeError, OverflowError) as error:
            raise self.unsuitable(f"{keyword} that cannot be read, needed a value of its representation") from error
        return None if found is None or found == "" or (hasattr(found, "__len__") and not len(found)) else found

    def _finite(self, found: Any, name: str) -> float | None:
        if found is None:
            return None
        try:
            number = float(found)
        except (ValueError, TypeError, OverflowError) as error:
            raise self.unsuitable(f"{name} that is no number, needed one") from error
        if not math.isfinite(number):
            raise self.unsuitable(f"{name} that is not finite, needed a number")
        return number

    def _moment(self, found: Any, name: str) -> datetime | None:
        if found is None:
            return None
        parsed = self._parsed(DT, str(found).strip(), name)
        if parsed.tzinfo is not None:
            # An offset in the value counts only against the offset of dates and times without one (0008,0201).
            offset = str(self._read(self.dataset, "TimezoneOffsetFromUTC") or "").strip()
            local = self._parsed(DT, f"20000101000000{offset}", "TimezoneOffsetFromUTC").tzinfo if offset else None
            parsed = parsed.astimezone(local) if local else parsed
        return datetime.combine(parsed.date(), parsed.time())

    def _parsed(self, kind: Any, text: str, name: str) -> Any:
        try:
            parsed = kind(text)
        except (ValueError, TypeError, OverflowError) as error:
            raise self.unsuitable(f"{name} that is no date or time, needed one (PS3.5 6.2)") from error
        if parsed is None:
            raise self.unsuitable(f"empty {name}, needed a date or time")
        return parsed


def _levels(dataset: Dataset, frame_number: int) -> Iterator[Dataset]:
    """The functional groups of one frame, those that all frames share (PS3.3 C.7.6.16.1), then the image.

    A single-frame image keeps its real world value mapping as a sequence at its top.
    """
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    shared = dataset.get("SharedFunctionalGroupsSequence") or ()
    for groups in (*frames[frame_number - 1 : frame_number], *shared[:1]):
        for element in groups:
            if element.VR == "SQ" and element.value:
                yield element.value[0]
    yield dataset
    yield from (dataset.get("RealWorldValueMappingSequence") or ())[:1]
