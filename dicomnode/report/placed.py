"""Holds the frames of a written object against the images that it says they lie on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag, Tag

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings
from dicomnode.domain.model import Segment
from dicomnode.report.drawn_check import check_identity
from dicomnode.report.frames import position

#: Positions are written with ten digits or more, so anything beyond this is an error and not rounding.
TOLERANCE_MM = 0.01

#: Functional groups, and what stands in them; by tag, since a keyword would be looked up anew in every frame.
DERIVATION, PLACE, ORIENTATION, MEASURES, SEGMENT = (
    Tag(keyword)
    for keyword in (
        "DerivationImageSequence",
        "PlanePositionSequence",
        "PlaneOrientationSequence",
        "PixelMeasuresSequence",
        "SegmentIdentificationSequence",
    )
)
POSITION = Tag("ImagePositionPatient")
_SOURCE, _INSTANCE, _FRAME = (
    Tag(keyword) for keyword in ("SourceImageSequence", "ReferencedSOPInstanceUID", "ReferencedFrameNumber")
)


class Groups:
    """Functional groups of the frames of one object, of each frame or shared.

    Frames of several segments lie on the same planes: what has the same bytes is parsed once.
    """

    def __init__(self, written: Dataset) -> None:
        self._shared = written.SharedFunctionalGroupsSequence[0]
        self._known: dict[tuple[int, bytes], Dataset] = {}

    def of(self, frame: Dataset, tag: BaseTag) -> Dataset:
        """The item of a functional group."""
        holder = frame if tag in frame else self._shared
        element = holder.get_item(tag)
        if not isinstance(element, RawDataElement) or element.value is None:
            item: Dataset = holder[tag].value[0]
            return item
        key = tag, element.value
        if key not in self._known:
            self._known[key] = holder[tag].value[0]
        return self._known[key]


def planes_of_frames(what: str, written: Dataset, findings: Findings) -> list[int]:
    """For every frame the index of the source plane that it names; it lies there, in the source's frame of reference.

    Parameters
    ----------
    what
        The object, for messages.

    Raises
    ------
    EncodingError
        For another patient, study or frame of reference, an image that is none of the source, or another place.
    """
    check_identity(what, written, findings.source.datasets)
    planes = {
        (str(plane.dataset.SOPInstanceUID), plane.frame_number): index
        for index, plane in enumerate(findings.source.planes)
    }
    frame_of_reference = str(findings.source.datasets[0].FrameOfReferenceUID)
    if str(written.FrameOfReferenceUID) != frame_of_reference:
        raise EncodingError(f"{what}: found frame of reference {written.FrameOfReferenceUID}, "
                            f"needed {frame_of_reference}")  # fmt: skip
    groups, indices, names, places = Groups(written), [], [], []
    for frame in written.PerFrameFunctionalGroupsSequence:
        image = groups.of(frame, DERIVATION)[_SOURCE].value[0]
        uid = str(image[_INSTANCE].value)
        number = int(image[_FRAME].value) if _FRAME in image else None
        named = uid if number is None else f"{uid}, frame {number}"
        index = planes.get((uid, number))
        if index is None:
            raise EncodingError(f"{what}: found a frame made from {named}, needed an image of the source series")
        indices.append(index)
        names.append(named)
        places.append(vector(groups.of(frame, PLACE)[POSITION].value))
    needed_mm = np.array([vector(position(findings.source.planes[index])) for index in indices])
    off_mm = np.abs(np.array(places) - needed_mm).max(axis=1)
    worst = int(off_mm.argmax())
    if off_mm[worst] > TOLERANCE_MM:
        found, needed = shown(np.array(places[worst])), shown(needed_mm[worst])
        raise EncodingError(f"{what}: found the frame of {names[worst]} at {found} mm, needed {needed} mm")
    return indices


def vector(values: Iterable[Any]) -> list[float]:
    """Decimal strings as numbers; numpy takes three times as long to make them of pydicom's."""
    return [float(value) for value in values]


def check_corners(what: str, written: Dataset, indices: Sequence[int], findings: Findings, slack_mm: float) -> None:
    """See that the corners of every frame, by its own geometry, lie where the volume has them.

    Parameters
    ----------
    indices
        The source plane of each frame.
    slack_mm
        How far the source's own headers lie from the grid of the volume.

    Raises
    ------
    EncodingError
        If one lies elsewhere, as with another orientation or pixel spacing.
    """
    groups, volume, tilt = Groups(written), findings.source.volume, findings.source.tilt
    affine = np.asarray(volume.affine)
    corners = np.array([(i, j) for i in (0, written.Rows - 1) for j in (0, written.Columns - 1)])
    for number, (frame, index) in enumerate(
        zip(written.PerFrameFunctionalGroupsSequence, indices, strict=True), start=1
    ):
        cosines = np.array(vector(groups.of(frame, ORIENTATION).ImageOrientationPatient))
        row_mm, column_mm = vector(groups.of(frame, MEASURES).PixelSpacing)
        place = np.array(vector(groups.of(frame, PLACE)[POSITION].value))
        found = place + corners @ np.stack([cosines[3:] * row_mm, cosines[:3] * column_mm])
        start = np.array(tilt.starts[index] if tilt else (0.0, 0.0))
        needed = affine[:3, 3] + index * affine[:3, 0] + (corners + start) @ affine[:3, [1, 2]].T
        off_mm = float(np.abs(found - needed).max())
        if off_mm > slack_mm + TOLERANCE_MM:
            raise EncodingError(
                f"{what}: found frame {number} {off_mm:.2f} mm off, needed at most {slack_mm + TOLERANCE_MM:.2f} mm"
            )


def check_code(item: Dataset, segment: Segment) -> None:
    """See that a segment is of the type and side that it should be.

    Raises
    ------
    EncodingError
        If not.
    """
    kind = item.SegmentedPropertyTypeCodeSequence[0]
    region = item.get("AnatomicRegionSequence") or [Dataset()]
    modifiers = (
        region[0].get("AnatomicRegionModifierSequence") or kind.get("SegmentedPropertyTypeModifierCodeSequence") or ()
    )
    found = (kind.CodeValue, *(modifier.CodeValue for modifier in modifiers))
    needed = (segment.type.value, *((segment.laterality.value,) if segment.laterality else ()))
    if found != needed:
        raise EncodingError(f"segment {segment.number} ({segment.label}): found type and side {found}, needed {needed}")


def shown(vector: NDArray[np.float64]) -> str:
    """A place in words."""
    return "(" + ", ".join(f"{number:.2f}" for number in vector) + ")"
