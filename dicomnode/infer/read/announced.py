"""Compares how many images the headers of a series announce with how many came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydicom.uid import PositronEmissionTomographyImageStorage

from dicomnode.infer.read.frame import Frame

#: Attributes of the PET Series Module (PS3.3 C.8.9.1) whose product with Number of Slices is how many images there are.
_PET_REPETITIONS = ("NumberOfTimeSlices", "NumberOfRRIntervals", "NumberOfTimeSlots")


def announced(frames: Sequence[Frame]) -> tuple[str, ...]:
    """Warnings that tell where fewer images came than were announced, such as slices missing at an end.

    Parameters
    ----------
    frames
        All of a series that could be read; images that came twice count once.
    """
    return tuple(
        f"{found} of {stated} announced {what}"
        for found, stated, what in (*_slices(frames), *_acquisitions(frames), *_concatenations(frames))
        if found < stated
    )


def _slices(frames: Sequence[Frame]) -> Iterator[tuple[int, int, str]]:
    classic = [frame for frame in frames if frame.first("SOPClassUID") == PositronEmissionTomographyImageStorage]
    slices = max((_count(frame.first("NumberOfSlices")) for frame in classic), default=0)
    stated = slices
    for keyword in _PET_REPETITIONS:
        stated *= max((_count(frame.first(keyword)) for frame in classic), default=0) or 1
    yield _distinct(classic), stated, "images (Number of Slices)"


def _acquisitions(frames: Sequence[Frame]) -> Iterator[tuple[int, int, str]]:
    """By Images in Acquisition (0020,1002), which counts the images of one Acquisition Number."""
    found: dict[Any, list[Frame]] = {}
    for frame in frames:
        found.setdefault(frame.first("AcquisitionNumber"), []).append(frame)
    for members in found.values():
        stated = max(_count(frame.first("ImagesInAcquisition")) for frame in members)
        yield _distinct(members), stated, "images (Images in Acquisition)"


def _concatenations(frames: Sequence[Frame]) -> Iterator[tuple[int, int, str]]:
    """By In-concatenation Total Number (0020,9163), the count of objects into which one was cut (PS3.3 C.7.6.16)."""
    found: dict[str, dict[str, int]] = {}
    for frame in frames:
        uid = frame.first("ConcatenationUID")
        if uid:
            stated = _count(frame.first("InConcatenationTotalNumber"))
            found.setdefault(str(uid), {})[frame.image.sop_instance_uid] = stated
    for parts in found.values():
        yield len(parts), max(parts.values()), "objects (In-concatenation Total Number)"


def _distinct(frames: Sequence[Frame]) -> int:
    return len({(frame.image.sop_instance_uid, frame.number) for frame in frames})


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value > 0 else 0
