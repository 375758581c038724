"""Reads the regions of an RT Structure Set with their closed contours, and says what of it is no region."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from dicomnode.domain.model import Segment
from dicomnode.infer.contours.naming import by_name

#: Contour Geometric Types that bound an area (PS3.3 C.8.8.6.1, C.8.8.6.3).
_EXCLUSIVE = "CLOSEDPLANAR_XOR"
_CLOSED = frozenset({"CLOSED_PLANAR", _EXCLUSIVE})

#: RT ROI Interpreted Types of what is no part of a patient (PS3.3 C.8.8.8.1).
_NO_TISSUE = frozenset(
    {"MARKER", "REGISTRATION", "ISOCENTER", "CONTROL", "FIXATION", "DOSE_REGION", "SUPPORT", "BOLUS", "BRACHY_CHANNEL"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contour:
    """One closed contour.

    Attributes
    ----------
    points_mm
        Its corners in LPS, shape (n, 3).
    image
        The image that it names, or "".
    exclusive
        Whether it is combined with the others of its plane by exclusive or (CLOSEDPLANAR_XOR).
    """

    points_mm: npt.NDArray[np.float64] = field(repr=False)
    image: str = ""
    exclusive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlined:
    """One region of a structure set.

    Attributes
    ----------
    contours
        Each once.
    frame_of_reference_uid
        That the region names; "" where it names none.
    """

    segment: Segment
    number: int
    contours: tuple[Contour, ...] = field(repr=False)
    frame_of_reference_uid: str = ""
    algorithm: str = ""


def outlined(dataset: Dataset) -> tuple[list[Outlined], list[str]]:
    """The regions of a structure set that have closed contours, and in words what was left out.

    Raises
    ------
    AttributeError, LookupError, TypeError, ValueError
        If attributes that the standard demands are missing or cannot be read; `reading` says so.
    """
    contours = {int(item.ReferencedROINumber): item for item in dataset.get("ROIContourSequence") or ()}
    observed = {int(item.ReferencedROINumber): item for item in dataset.get("RTROIObservationsSequence") or ()}
    found: list[Outlined] = []
    remarks: list[str] = []
    for roi in dataset.get("StructureSetROISequence") or ():
        number = int(roi.ROINumber)
        name = str(roi.get("ROIName") or "").strip() or f"ROI {number}"
        observation = observed.get(number, Dataset())
        interpreted = str(observation.get("RTROIInterpretedType") or "").strip().upper()
        items = (contours[number].get("ContourSequence") or ()) if number in contours else ()
        closed, others, empty = _closed(items)
        if interpreted in _NO_TISSUE:
            remarks.append(f"{name}: left out, it is of type {interpreted}")
        elif not closed:
            remarks.append(f"{name}: left out, it has no closed contour" + (f", only {others}" if others else ""))
        else:
            if others:
                remarks.append(f"{name}: {others} left out, needed closed planar contours")
            if empty:
                remarks.append(f"{name}: {empty} contours of fewer than 3 points left out")
            found.append(
                Outlined(
                    segment=by_name(name, interpreted),
                    number=number,
                    contours=tuple(_once(closed)),
                    frame_of_reference_uid=str(roi.get("ReferencedFrameOfReferenceUID") or ""),
                    algorithm=str(roi.get("ROIGenerationAlgorithm") or ""),
                )
            )
    return found, remarks


def _closed(items: Sequence[Dataset]) -> tuple[list[Contour], str, int]:
    """Closed contours, in words the others by type, and how many have no area."""
    closed: list[Contour] = []
    others: dict[str, int] = {}
    empty = 0
    for item in items:
        kind = str(item.get("ContourGeometricType") or "CLOSED_PLANAR").strip()
        if kind not in _CLOSED:
            others[kind] = others.get(kind, 0) + 1
            continue
        points = np.array(item.get("ContourData") or (), dtype=np.float64)
        if points.size % 3 or not np.isfinite(points).all():
            raise ValueError(f"Contour Data of {points.size} values, needed finite x, y and z of every point")
        if points.size < 9:
            empty += 1
            continue
        images: Sequence[Dataset] = item.get("ContourImageSequence") or ()
        image = str(images[0].get("ReferencedSOPInstanceUID") or "") if len(images) == 1 else ""
        closed.append(Contour(points_mm=points.reshape(-1, 3), image=image, exclusive=kind == _EXCLUSIVE))
    return closed, ", ".join(f"{count} of type {kind}" for kind, count in others.items()), empty


def _once(contours: Sequence[Contour]) -> Iterator[Contour]:
    """Each contour once: filled by the even-odd rule, one that stands there twice would be a hole."""
    seen: set[bytes] = set()
    for contour in contours:
        # The same points from another start, or the other way round, are the same line.
        corners = contour.points_mm[:-1] if _is_shut(contour.points_mm) else contour.points_mm
        # Adding zero makes one of the two zeros.
        key = (corners[np.lexsort(corners.T)] + 0.0).tobytes()
        if key not in seen:
            seen.add(key)
            yield contour


def _is_shut(points: npt.NDArray[np.float64]) -> bool:
    """Whether the last point repeats the first, which the standard does not ask for."""
    return bool((points[0] == points[-1]).all())
