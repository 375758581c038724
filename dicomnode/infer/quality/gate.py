"""Holds a series against the range for which a model was made."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.model import ModelSpec

#: A row or column runs along a patient axis when its direction cosine exceeds this; below, the plane is oblique
#: (Clunie's classification in dicom3tools and PixelMed: 0.8, some 37°).
ALONG_AXIS = 0.8

#: The patient axis (x, y, z) along the normal → name of the plane.
PLANES = ("sagittal", "coronal", "axial")

#: A spacing that is written with two decimals may be off by half the last one.
SPACING_ROUNDING_MM = 0.005


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
    volume = source.volume
    subject = f"series {source.datasets[0].get('SeriesInstanceUID', '') if source.datasets else ''}"
    plane = plane_of(volume.affine)
    orientations = spec.limit("orientations", ())
    if orientations and plane not in orientations:
        raise Unsuitable(f"{subject}: {plane} slices, {spec.name} needs {' or '.join(orientations)}")
    slices, needed = volume.spatial_shape[0], spec.limit("minimum_slices", 1)
    if slices < needed:
        raise Unsuitable(f"{subject}: {slices} slices, {spec.name} needs {needed} or more")
    between_slices, *in_plane = volume.spacing
    _require_within(subject, "slice spacing", [between_slices], spec.limit("slice_spacing_mm"), spec)
    _require_within(subject, "pixel spacing", in_plane, spec.limit("pixel_spacing_mm"), spec)
    low, high = float(volume.array.min()), float(volume.array.max())
    if low == high:
        raise Unsuitable(f"{subject}: all intensities are {low:g}, {spec.name} needs contrast")
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
