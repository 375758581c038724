"""Judges whether a series is what a model was made for, and whether a result can be believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Segmentation, SourceSeries
from dicomnode.domain.model import ModelSpec, Segment
from dicomnode.infer.tidy import Box, boxes_of

#: A row or column runs along a patient axis when its direction cosine exceeds this; below, the plane is oblique
#: (Clunie's classification in dicom3tools and PixelMed: 0.8, some 37°).
ALONG_AXIS = 0.8

#: The patient axis (x, y, z) along the normal → name of the plane.
PLANES = ("sagittal", "coronal", "axial")

#: A spacing that is written with two decimals may be off by half the last one.
SPACING_ROUNDING_MM = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extent:
    """Size and place of one segment in indices (slice, row, column)."""

    voxels: int
    centre: tuple[float, ...]
    first_slice: int
    last_slice: int


def check(source: SourceSeries, spec: ModelSpec) -> tuple[str, ...]:
    """Hold a series against the range for which the model was made.

    Returns
    -------
    tuple of str
        What is unusual but acceptable, in words for the report.

    Raises
    ------
    Unsuitable
        If plane, slices, spacing or intensities lie outside the range.
    """
    volume, valid = source.volume, spec.valid
    subject = f"series {source.datasets[0].get('SeriesInstanceUID', '') if source.datasets else ''}"
    plane = plane_of(volume.affine)
    if valid.orientations and plane not in valid.orientations:
        raise Unsuitable(f"{subject}: {plane} slices, {spec.name} needs {' or '.join(valid.orientations)}")
    slices = volume.spatial_shape[0]
    if slices < valid.minimum_slices:
        raise Unsuitable(f"{subject}: {slices} slices, {spec.name} needs {valid.minimum_slices} or more")
    between_slices, *in_plane = volume.spacing
    _require_within(subject, "slice spacing", [between_slices], valid.slice_spacing_mm, spec)
    _require_within(subject, "pixel spacing", in_plane, valid.pixel_spacing_mm, spec)
    low, high = float(volume.array.min()), float(volume.array.max())
    if low == high or high <= spec.prepare.clip[0] or low >= spec.prepare.clip[1]:
        raise Unsuitable(
            f"{subject}: intensities from {low:g} to {high:g}, {spec.name} needs contrast between "
            f"{spec.prepare.clip[0]:g} and {spec.prepare.clip[1]:g}"
        )
    return _hounsfield(source, subject)


def _hounsfield(source: SourceSeries, subject: str) -> tuple[str, ...]:
    """Refuse a CT whose values cannot be Hounsfield units; warn where they may not be.

    Rescale Slope, Intercept and Type are required in CT images (PS3.3 C.8.2.1); Type is often missing and then HU.
    """
    if not source.datasets or source.datasets[0].get("Modality") != "CT":
        return ()
    if any("RescaleSlope" not in ds or "RescaleIntercept" not in ds for ds in source.datasets):
        raise Unsuitable(f"{subject}: no Rescale Slope and Intercept, needed to have Hounsfield units")
    kind = source.datasets[0].get("RescaleType")
    if kind not in {None, "", "HU", "US"}:
        raise Unsuitable(f"{subject}: Rescale Type is {kind}, needed HU")
    return ("Rescale Type is US (unspecified); intensities may not be Hounsfield units",) if kind == "US" else ()


def plausible(segmentation: Segmentation, spec: ModelSpec) -> tuple[str, ...]:
    """Hold a result against what the bundle calls plausible.

    Returns
    -------
    tuple of str
        Doubts that a reader has to know: empty segments, volumes out of range, segments cut off by the first or last
        slice.

    Raises
    ------
    Unsuitable
        If a segment that must lie right of another does not: then the orientation of the images is not believed.
    """
    labels, volume = segmentation.volume.array, segmentation.volume
    extents = {number: _extent(labels, number, box) for number, box in boxes_of(labels).items()}
    centre_mm = {number: (volume.affine @ [*extent.centre, 1.0])[:3] for number, extent in extents.items()}
    names = {segment.number: segment.label for segment in segmentation.segments}
    for right, left in spec.right_of:
        # LPS: x grows towards the patient's left.
        if right in centre_mm and left in centre_mm and not centre_mm[right][0] < centre_mm[left][0]:
            raise Unsuitable(
                f"orientation is not believed: {names[right]} lies at x = {centre_mm[right][0]:.0f} mm and "
                f"{names[left]} at x = {centre_mm[left][0]:.0f} mm, needed {names[right]} at smaller x (LPS)"
            )
    return tuple(
        doubt
        for segment in segmentation.segments
        for doubt in _doubts(segment, extents.get(segment.number), volume.voxel_volume, labels.shape[0])
    )


def plane_of(affine: npt.NDArray[np.float64]) -> str:
    """`axial`, `coronal`, `sagittal` or `oblique`, from the affine of (slice, row, column)."""
    vectors = affine[:3, 1:3] / np.linalg.norm(affine[:3, 1:3], axis=0)
    along = np.abs(vectors).argmax(axis=0)
    if np.abs(vectors).max(axis=0).min() <= ALONG_AXIS:
        return "oblique"
    return PLANES[3 - int(along.sum())]


def _require_within(
    subject: str, what: str, found_mm: list[float], valid_mm: tuple[float, float] | None, spec: ModelSpec
) -> None:
    if valid_mm is None:
        return
    low, high = valid_mm
    if min(found_mm) < low - SPACING_ROUNDING_MM or max(found_mm) > high + SPACING_ROUNDING_MM:
        found = " × ".join(f"{value:.3g}" for value in found_mm)
        raise Unsuitable(f"{subject}: {what} {found} mm, {spec.name} needs {low:g} to {high:g} mm")


def _extent(labels: npt.NDArray[np.uint8], number: int, box: Box) -> _Extent:
    mask = labels[box] == number
    # Counted along one axis at a time, because a list of all voxels would take 24 bytes for each.
    counts = [mask.sum(axis=others, dtype=np.int64) for others in ((1, 2), (0, 2), (0, 1))]
    voxels = int(counts[0].sum())
    centre = [float(count @ np.arange(side.start, side.stop)) / voxels for count, side in zip(counts, box, strict=True)]
    return _Extent(voxels=voxels, centre=tuple(centre), first_slice=box[0].start, last_slice=box[0].stop - 1)


def _doubts(segment: Segment, extent: _Extent | None, voxel_volume_mm3: float, slices: int) -> Iterator[str]:
    if extent is None:
        yield f"{segment.label}: nothing found"
        return
    volume_ml = extent.voxels * voxel_volume_mm3 / 1000
    if segment.volume_ml is not None and not segment.volume_ml[0] <= volume_ml <= segment.volume_ml[1]:
        low, high = segment.volume_ml
        shown = f"{volume_ml:.0f}" if volume_ml >= 10 else f"{volume_ml:.2g}"
        yield f"{segment.label}: volume {shown} ml is unusual, expected {low:g} to {high:g} ml"
    ends = [
        name for name, cut in (("first", extent.first_slice == 0), ("last", extent.last_slice == slices - 1)) if cut
    ]
    if ends:
        yield f"{segment.label}: reaches the {' and '.join(ends)} slice and may be cut off there"
