"""Where the slices of a series lie: their order along the normal, and the one regular grid that they must form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.frame import Frame

#: Direction cosines may differ between slices by rounding only; beyond this they are different planes
#: (highdicom refuses 1e-6, measured in standards section 1.6, so that the median is taken below it).
ORIENTATION_TOLERANCE = 1e-4

#: Rows and columns are perpendicular unit vectors (PS3.3 C.7.6.2.1.1); cosines written with three decimals are
#: off by 5e-4 each, which moves both length and product by at most this.
COSINE_TOLERANCE = 2e-3

#: Slices nearer than this are one position: a hundredth of the thinnest spacing that scanners make (0.1 mm or more),
#: and above the rounding of positions written with three decimals.
SAME_POSITION_MM = 1e-3

#: How far a slice may lie from its regular place. DICOM names no number. Positions written with one decimal put two
#: ends of a gap 0.05 mm off each; one per cent is highdicom's limit; measured on 40 real series, regular
#: stacks stay below 0.0001 mm and irregular ones begin at 1.5 mm, so that nothing real lies between.
IRREGULARITY_MM = 0.1
IRREGULARITY_OF_SPACING = 0.01

#: How far the last slice may be displaced in plane, as a fraction of a pixel: what half a pixel cannot show, a drawn
#: contour cannot either. Half a degree of gantry tilt, the smallest step that scanners offer, exceeds it within 60 mm.
SHEAR_OF_PIXEL = 0.5

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """Unit vectors in LPS: along a row, down a column, and the normal (their cross product)."""

    row: Vector
    column: Vector
    normal: Vector


def axes_of(frames: Sequence[Frame], subject: str) -> Axes:
    """The orientation that all frames share, as the median of what they say.

    Raises
    ------
    Unsuitable
        If they differ by more than rounding, or are not two perpendicular unit vectors.
    """
    cosines = np.array([frame.orientation for frame in frames])
    median = np.median(cosines, axis=0)
    off = np.abs(cosines - median).max(axis=1)
    if off.max() > ORIENTATION_TOLERANCE:
        odd = np.round(cosines[off.argmax()], 4).tolist()
        raise Unsuitable(
            f"{subject}: orientation {odd} in {int((off > ORIENTATION_TOLERANCE).sum())} of {len(frames)} images, "
            f"needed {np.round(median, 4).tolist()} in all (differences up to {ORIENTATION_TOLERANCE})"
        )
    row, column = median[:3], median[3:]
    lengths = np.linalg.norm([row, column], axis=1)
    if np.abs(lengths - 1).max() > COSINE_TOLERANCE or abs(row @ column) > COSINE_TOLERANCE:
        raise Unsuitable(
            f"{subject}: orientation {np.round(median, 4).tolist()}, "
            "needed two perpendicular unit vectors (PS3.3 C.7.6.2.1.1)"
        )
    row = row / lengths[0]
    column = column - (column @ row) * row
    column /= np.linalg.norm(column)
    return Axes(row=row, column=column, normal=np.cross(row, column))


def by_position(frames: Sequence[Frame], axes: Axes) -> list[list[Frame]]:
    """The frames in order of their place along the normal, those at one place together.

    Instance Number says nothing about geometry (PS3.3 C.7.6.1.1.1) and is not looked at.
    """
    depths = depths_mm(frames, axes)
    groups: list[list[Frame]] = []
    last = -np.inf
    for index in sorted(range(len(frames)), key=lambda index: (depths[index], frames[index].sop_instance_uid)):
        if depths[index] - last > SAME_POSITION_MM:
            groups.append([])
            last = float(depths[index])
        groups[-1].append(frames[index])
    return groups


def depths_mm(frames: Sequence[Frame], axes: Axes) -> Vector:
    """Place of every frame along the normal, in mm."""
    return np.array([frame.position_mm for frame in frames]) @ axes.normal


def affine_of(frames: Sequence[Frame], axes: Axes, subject: str) -> Vector:
    """The affine from indices (slice, row, column) to LPS mm, of shape (4, 4).

    Parameters
    ----------
    frames
        In order along the normal, one per position, two at least.

    Raises
    ------
    Unsuitable
        If slices are missing, unevenly spaced, or displaced against each other (gantry tilt).
    """
    positions = np.array([frame.position_mm for frame in frames])
    depths = positions @ axes.normal
    spacing = float(depths[-1] - depths[0]) / (len(frames) - 1)
    _require_straight(positions, depths, axes, frames[0].pixel_spacing_mm, subject)
    _require_regular(depths, spacing, subject)
    between_rows, between_columns = frames[0].pixel_spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = axes.normal * spacing
    affine[:3, 1] = axes.column * between_rows
    affine[:3, 2] = axes.row * between_columns
    affine[:3, 3] = positions[0]
    return affine


def _require_regular(depths: Vector, spacing: float, subject: str) -> None:
    gaps = np.diff(depths)
    expected = float(np.median(gaps))
    tolerance = max(min(IRREGULARITY_MM, expected / 4), IRREGULARITY_OF_SPACING * expected)
    if abs(spacing - expected) <= tolerance:
        # Positions rounded to one decimal alternate around the mean; the median would sit on one side of it.
        expected = spacing
    odd = np.flatnonzero(np.abs(gaps - expected) > tolerance)
    if odd.size:
        first = int(odd[0])
        more = f" and {odd.size - 1} more such gaps" if odd.size > 1 else ""
        missing = round(float(gaps[first]) / expected) - 1
        hint = f" ({missing} missing?)" if missing > 0 else ""
        raise Unsuitable(
            f"{subject}: slice gap {gaps[first]:.3g} mm at position {first + 1} of {len(depths)} "
            f"({depths[first]:.1f} mm along the normal){more}, expected {expected:.3g} mm{hint}"
        )
    drift = np.abs(depths - (depths[0] + spacing * np.arange(len(depths))))
    if drift.max() > tolerance:
        worst = int(drift.argmax())
        raise Unsuitable(
            f"{subject}: slice {worst + 1} of {len(depths)} lies {drift[worst]:.2f} mm off its place in an even "
            f"stack of {spacing:.3g} mm, needed {tolerance:.2g} mm or less"
        )


def _require_straight(
    positions: Vector, depths: Vector, axes: Axes, pixel_spacing_mm: tuple[float, float], subject: str
) -> None:
    aside = (positions - positions[0]) - np.outer(depths - depths[0], axes.normal)
    worst = int(np.linalg.norm(aside, axis=1).argmax())
    displaced = float(np.linalg.norm(aside[worst]))
    allowed = SHEAR_OF_PIXEL * min(pixel_spacing_mm)
    if displaced > allowed:
        tilt = np.degrees(np.arctan2(displaced, abs(depths[worst] - depths[0])))
        raise Unsuitable(
            f"{subject}: slices are displaced in plane by up to {displaced:.1f} mm, as by a gantry tilt of "
            f"{tilt:.1f}°, needed an upright stack (up to {allowed:.2f} mm)"
        )
