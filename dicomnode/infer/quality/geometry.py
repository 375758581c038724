"""Rules about how slices lie: their plane, number, spacing, thickness, gaps, size and tilt."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.plane import plane_of
from dicomnode.infer.quality.outcome import ROUNDING_MM, Outcome, Rule, at_most, number, within
from dicomnode.infer.quality.tags import numbers


def orientations(source: SourceSeries, limit: tuple[str, ...]) -> Outcome:
    """The plane of the slices is one of those named."""
    affine = source.volume.affine
    plane = plane_of(affine[:3, 2].tolist(), affine[:3, 1].tolist())
    return Outcome(found=f"{plane} slices", needed=f"{' or '.join(limit)} slices", passed=plane in limit)


def minimum_slices(source: SourceSeries, limit: int) -> Outcome:
    """There are this many slices or more."""
    slices = source.volume.spatial_shape[0]
    return Outcome(found=f"{slices} slices", needed=f"{limit} or more", passed=slices >= limit)


def maximum_slices(source: SourceSeries, limit: int) -> Outcome:
    """There are this many slices or fewer."""
    slices = source.volume.spatial_shape[0]
    return Outcome(found=f"{slices} slices", needed=f"{limit} or fewer", passed=slices <= limit)


def slice_spacing_mm(source: SourceSeries, limit: tuple[float, float]) -> Outcome:
    """Centres of neighbouring slices lie this far apart along the normal."""
    return within(source.volume.spacing[:1], limit, "mm", ROUNDING_MM)


def pixel_spacing_mm(source: SourceSeries, limit: tuple[float, float]) -> Outcome:
    """Centres of neighbouring pixels lie this far apart, between rows as between columns."""
    return within(source.volume.spacing[1:], limit, "mm", ROUNDING_MM, " × ")


def rows(source: SourceSeries, limit: tuple[int, int]) -> Outcome:
    """The images have this many rows."""
    return within(_matrix(source)[:1], limit, "rows")


def columns(source: SourceSeries, limit: tuple[int, int]) -> Outcome:
    """The images have this many columns."""
    return within(_matrix(source)[1:], limit, "columns")


def field_of_view_mm(source: SourceSeries, limit: tuple[float, float]) -> Outcome:
    """The images are this large along a column as along a row."""
    sides = [count * spacing for count, spacing in zip(_matrix(source), source.volume.spacing[1:], strict=True)]
    return within(sides, limit, "mm", ROUNDING_MM * max(_matrix(source)), " × ")


def coverage_mm(source: SourceSeries, limit: tuple[float, float]) -> Outcome:
    """The stack is this long along its normal: slices times their spacing."""
    slices, spacing_mm = source.volume.spatial_shape[0], source.volume.spacing[0]
    return within([slices * spacing_mm], limit, "mm", ROUNDING_MM * slices)


def slice_thickness_mm(source: SourceSeries, limit: tuple[float, float]) -> Outcome:
    """Every slice that states its thickness (PS3.3 C.7.6.2) is this thick."""
    stated_mm = sorted(set(numbers(source, "SliceThickness")))
    outcome = within(stated_mm, limit, "mm", ROUNDING_MM)
    if len(stated_mm) < 2:
        return outcome
    found = f"{number(stated_mm[0])} to {number(stated_mm[-1])} mm"
    return Outcome(found=found, needed=outcome.needed, passed=outcome.passed)


def slice_thickness_variation_mm(source: SourceSeries, limit: float) -> Outcome:
    """The thickest and the thinnest slice differ by no more than this."""
    stated_mm = numbers(source, "SliceThickness")
    return at_most(max(stated_mm) - min(stated_mm) if stated_mm else None, limit, "mm", ROUNDING_MM)


def slice_gap_mm(source: SourceSeries, limit: tuple[float, float]) -> Outcome:
    """What lies between two slices: their spacing less their median thickness, negative where they overlap."""
    stated_mm = numbers(source, "SliceThickness")
    gaps_mm = [round(source.volume.spacing[0] - float(np.median(stated_mm)), 3)] if stated_mm else []
    return within(gaps_mm, limit, "mm", 2 * ROUNDING_MM)


def tilt_degrees(source: SourceSeries, limit: float) -> Outcome:
    """The gantry was tilted by no more than this, before the stack was made upright."""
    return at_most(abs(source.tilt.degrees) if source.tilt else 0.0, limit, "degrees")


def _matrix(source: SourceSeries) -> tuple[int, int]:
    """Rows and columns of the images as they were sent."""
    if source.tilt is not None:
        return source.tilt.shape
    _, row_count, column_count = source.volume.spatial_shape
    return row_count, column_count


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        orientations,
        minimum_slices,
        maximum_slices,
        slice_spacing_mm,
        pixel_spacing_mm,
        rows,
        columns,
        field_of_view_mm,
        coverage_mm,
        slice_thickness_mm,
        slice_thickness_variation_mm,
        slice_gap_mm,
        tilt_degrees,
    )
}
