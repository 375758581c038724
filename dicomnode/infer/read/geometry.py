"""Where the slices of a stack lie: their order along the normal, and the one regular grid that they must form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Tilt

#: Direction cosines may differ between slices by rounding only; beyond this they are different planes
#: (highdicom refuses 1e-6, measured in standards section 1.6, so that the median is taken below it).
ORIENTATION_TOLERANCE = 1e-4

#: Rows and columns are perpendicular unit vectors (PS3.3 C.7.6.2.1.1); cosines written with three decimals are
#: off by 5e-4 each, which moves both length and product by at most this.
COSINE_TOLERANCE = 2e-3

#: Slices nearer than this are one position: a tenth of the thinnest spacing that scanners make (0.1 mm or more), and
#: well above 0.001 mm, by which two positions written with three decimals differ from rounding alone.
SAME_POSITION_MM = 0.01

#: How far a slice may lie from its regular place. DICOM names no number. Positions written with one decimal put two
#: ends of a gap 0.05 mm off each; one per cent is highdicom's limit; measured on 40 real series, regular
#: stacks stay below 0.0001 mm and irregular ones begin at 1.5 mm, so that nothing real lies between.
IRREGULARITY_MM = 0.1
IRREGULARITY_OF_SPACING = 0.01

#: How far the last slice may be displaced in plane, as a fraction of a pixel: what half a pixel cannot show, a drawn
#: contour cannot either. Half a degree of gantry tilt, the smallest step that scanners offer, exceeds it within 60 mm.
SHEAR_OF_PIXEL = 0.5

#: Rounding in the third decimal moves the far edge of 512 pixels by a quarter of a millimetre, less than a pixel.
SAME_PIXEL_SPACING_MM = 5e-4

#: CT gantries tilt by 30° at most; slices that move aside faster than along their normal are no tilted stack.
MOST_TILT_DEGREES = 45.0

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """Unit vectors in LPS: along a row, down a column, and the normal (their cross product)."""

    row: Vector
    column: Vector
    normal: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The grid that the slices form.

    Attributes
    ----------
    affine
        From indices (slice, row, column) to LPS mm, of shape (4, 4).
    shape
        Slices, rows, columns; more rows or columns than the images have where a tilt was put upright.
    tilt
        How the images lie in the grid where they are shifted against each other.
    """

    affine: Vector
    shape: tuple[int, int, int]
    tilt: Tilt | None = None


def axes_of(orientations: Sequence[Sequence[float]], subject: str) -> Axes:
    """The orientation that all slices share, as the median of what they say.

    Raises
    ------
    Unsuitable
        If they differ by more than rounding, or are not two perpendicular unit vectors.
    """
    cosines = np.array(orientations)
    median = np.median(cosines, axis=0)
    off = np.abs(cosines - median).max(axis=1)
    if off.max() > ORIENTATION_TOLERANCE:
        odd = np.round(cosines[off.argmax()], 4).tolist()
        raise Unsuitable(
            f"{subject}: orientation {odd} in {int((off > ORIENTATION_TOLERANCE).sum())} of {len(cosines)} images, "
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


def by_position(depths: Vector) -> list[list[int]]:
    """Indices in order of their place along the normal, those at one place together.

    A place is where its first image lies: images that follow each other closely never chain into one.
    Instance Number says nothing about geometry (PS3.3 C.7.6.1.1.1) and is not looked at.
    """
    groups: list[list[int]] = []
    last = -np.inf
    for index in np.argsort(depths, kind="stable").tolist():
        if depths[index] - last > SAME_POSITION_MM:
            groups.append([])
            last = float(depths[index])
        groups[-1].append(index)
    return groups


def single_placement(
    position: Vector,
    axes: Axes,
    extent_mm: float,
    pixel_spacing_mm: tuple[float, float],
    shape: tuple[int, int],
) -> Placement:
    """The grid of one slice, which extends along its normal by what its header states."""
    between_rows, between_columns = pixel_spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = axes.normal * extent_mm
    affine[:3, 1] = axes.column * between_rows
    affine[:3, 2] = axes.row * between_columns
    affine[:3, 3] = position
    return Placement(affine=affine, shape=(1, *shape))


def placement(
    positions: Vector, axes: Axes, pixel_spacing_mm: tuple[float, float], shape: tuple[int, int], subject: str
) -> Placement:
    """The regular grid that slices form.

    Parameters
    ----------
    positions
        Of the first pixel of every slice, in order along the normal, one per position, two at least; (slice, 3).
    pixel_spacing_mm
        Distance between rows, then between columns.
    shape
        Rows and columns of the images.

    Raises
    ------
    Unsuitable
        If slices are missing, unevenly spaced, or displaced against each other otherwise than by a constant step.
    """
    depths = positions @ axes.normal
    spacing = float(depths[-1] - depths[0]) / (len(depths) - 1)
    _require_regular(depths, spacing, subject)
    steps = _displacement(positions, depths, axes, pixel_spacing_mm, subject)
    starts = np.outer(np.arange(len(depths)), steps / np.array(pixel_spacing_mm))
    starts -= starts.min(axis=0)
    between_rows, between_columns = pixel_spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = axes.normal * spacing
    affine[:3, 1] = axes.column * between_rows
    affine[:3, 2] = axes.row * between_columns
    affine[:3, 3] = positions[0] - affine[:3, 1:3] @ starts[0]
    if not steps.any():
        return Placement(affine=affine, shape=(len(depths), *shape))
    rows, columns = (int(np.ceil(last)) + size for last, size in zip(starts.max(axis=0), shape, strict=True))
    tilt = Tilt(
        degrees=float(np.degrees(np.arctan2(np.linalg.norm(steps), spacing))),
        shape=shape,
        starts=tuple((row, column) for row, column in starts.tolist()),
    )
    return Placement(affine=affine, shape=(len(depths), rows, columns), tilt=tilt)


def gaps_are_even(depths: Vector) -> bool:
    """Whether sorted depths lie at equal distances, within what rounding of positions explains."""
    gaps = np.diff(depths)
    return bool(np.abs(gaps - gaps.mean()).max() <= _tolerance_mm(float(np.median(gaps)))) if gaps.size else True


def _tolerance_mm(spacing: float) -> float:
    return max(min(IRREGULARITY_MM, spacing / 4), IRREGULARITY_OF_SPACING * spacing)


def _require_regular(depths: Vector, spacing: float, subject: str) -> None:
    gaps = np.diff(depths)
    usual = expected = float(np.median(gaps))
    tolerance = _tolerance_mm(usual)
    if abs(spacing - usual) <= tolerance:
        # Positions rounded to one decimal alternate around the mean; the median would sit on one side of it.
        expected = spacing
    odd = np.flatnonzero(np.abs(gaps - expected) > tolerance)
    if odd.size:
        first = int(odd[0])
        more = f" and {odd.size - 1} more such gaps" if odd.size > 1 else ""
        missing = round(float(gaps[first]) / usual) - 1
        # Where a third of the gaps is odd, no single slices are missing: the stack is something else.
        hint = f" ({missing} missing?)" if missing > 0 and 3 * odd.size <= len(gaps) else ""
        raise Unsuitable(
            f"{subject}: slice gap {gaps[first]:.3g} mm at position {first + 1} of {len(depths)} "
            f"({depths[first]:.1f} mm along the normal){more}, expected {usual:.3g} mm{hint}"
        )
    drift = np.abs(depths - (depths[0] + spacing * np.arange(len(depths))))
    if drift.max() > tolerance:
        worst = int(drift.argmax())
        raise Unsuitable(
            f"{subject}: slice {worst + 1} of {len(depths)} lies {drift[worst]:.2f} mm off its place in an even "
            f"stack of {spacing:.3g} mm, needed {tolerance:.2g} mm or less"
        )


def _displacement(
    positions: Vector, depths: Vector, axes: Axes, pixel_spacing_mm: tuple[float, float], subject: str
) -> Vector:
    """In-plane displacement from slice to slice in mm, down the columns and along the rows; 0 where no pixel shows it.

    A tilted gantry displaces every slice by the same step.
    """
    aside = (positions - positions[0]) @ np.stack([axes.column, axes.row], axis=1)
    allowed = SHEAR_OF_PIXEL * min(pixel_spacing_mm)
    largest = np.linalg.norm(aside, axis=1)
    if largest.max() <= allowed:
        return np.zeros(2)
    places = (depths - depths[0]) / (depths[-1] - depths[0]) * (len(depths) - 1)
    steps: Vector = (places @ aside) / (places @ places)
    off = np.linalg.norm(aside - np.outer(places, steps), axis=1)
    worst = int(off.argmax())
    rounding = max(IRREGULARITY_MM, allowed)
    if off[worst] > rounding:
        raise Unsuitable(
            f"{subject}: slice {worst + 1} of {len(depths)} is displaced in plane by {largest[worst]:.1f} mm, "
            f"{off[worst]:.1f} mm off the even steps of a gantry tilt, needed {rounding:.2g} mm or less"
        )
    degrees = float(np.degrees(np.arctan2(np.linalg.norm(steps), (depths[-1] - depths[0]) / (len(depths) - 1))))
    if degrees > MOST_TILT_DEGREES:
        raise Unsuitable(
            f"{subject}: slices follow each other at {degrees:.1f}° to their normal, needed a gantry tilt of "
            f"{MOST_TILT_DEGREES:g}° or less"
        )
    # A direction in which the whole stack shifts by less than a pixel shows is left alone.
    return np.where(np.abs(steps) * (len(depths) - 1) <= allowed, 0.0, steps)
