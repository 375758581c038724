"""Puts the contours of a structure set onto the planes of the images, and fills them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.contours.polygons import Points, filled, united
from dicomnode.infer.contours.region import Mask, Region
from dicomnode.infer.contours.structure import Contour, Outlined

#: Coordinates of planes and of contours are often written with two decimals, so both ends may be off by half of one.
_ON_PLANE_MM = 0.01

#: Half the way to the next plane: what lies farther off belongs to another.
_HALF = 0.5


def placed(outlined: Outlined, source: SourceSeries) -> tuple[Region | None, list[str]]:
    """The voxels inside a region's contours, and in words what was unusual; None where no pixel centre lies inside.

    A contour belongs to the image that it names, else to the plane that it lies on, or that is nearest within half a
    slice, which is told. Of contours at several depths within one slice those nearest to the image count, as if the
    region were asked there.

    Raises
    ------
    Unsuitable
        If a contour is not parallel to the images or farther than half a slice from the image that it names, or from
        any: then it was not drawn on these images.
    """
    name = outlined.segment.label
    planes = {str(plane.dataset.SOPInstanceUID): index for index, plane in enumerate(source.planes)}
    if len(planes) < len(source.planes):
        planes = {}  # frames of one object have no UID of their own
    spacing_mm = source.volume.spacing[0]
    to_index = np.linalg.inv(np.asarray(source.volume.affine, dtype=np.float64))
    by_plane: dict[int, list[tuple[float, Contour, Points]]] = {}
    between = outside = 0
    rows, columns = source.volume.spatial_shape[1:]
    for contour in outlined.contours:
        at = contour.points_mm @ to_index[:3, :3].T + to_index[:3, 3]
        depth = float(np.median(at[:, 0]))
        index = planes.get(contour.image, round(depth))
        off = np.abs(at[:, 0] - index).max()
        if off > _HALF + _ON_PLANE_MM / spacing_mm or not 0 <= index < len(source.planes):
            # Names of regions are free text, so a message, which reaches the log, has the number alone.
            raise Unsuitable(f"ROI {outlined.number}: {_off(at, index, spacing_mm, contour.image in planes)}")
        between += off * spacing_mm > _ON_PLANE_MM
        corners = at[:, 1:]
        outside += bool((corners < -_HALF).any() or (corners > [rows - _HALF, columns - _HALF]).any())
        by_plane.setdefault(index, []).append((depth, contour, corners))
    first, last = min(by_plane), max(by_plane)
    mask = np.zeros((last - first + 1, rows, columns), dtype=np.bool_)
    nearer = overlapping = 0
    for index, drawn in by_plane.items():
        kept = _nearest(drawn, index, _ON_PLANE_MM / spacing_mm)
        nearer += len(drawn) - len(kept)
        mask[index - first], overlap = _area(kept, (rows, columns))
        overlapping += overlap
    remarks = []
    if between:
        remarks.append(f"{name}: {between} contours lie between images and count for the nearest, within half a slice")
    if nearer:
        remarks.append(
            f"{name}: contours lie closer than the images; {nearer} were left out for one nearer to its image"
        )
    if overlapping:
        remarks.append(f"{name}: contours overlap on {overlapping} images and were joined there")
    if outside:
        remarks.append(f"{name}: {outside} contours reach beyond the images and were cut off there")
    gaps = len(mask) - len(by_plane)
    if gaps:
        remarks.append(f"{name}: no contour on {gaps} of the {len(mask)} images from its first to its last")
    return _cropped(outlined, mask, first), remarks


def _nearest(
    drawn: Sequence[tuple[float, Contour, Points]], index: int, rounding: float
) -> list[tuple[float, Contour, Points]]:
    """The contours of the depth nearest to an image; of two equally near the one before it, so that none is doubled."""
    least = min(abs(depth - index) for depth, _, _ in drawn)
    chosen = min(depth for depth, _, _ in drawn if abs(depth - index) <= least + rounding)
    return [one for one in drawn if abs(one[0] - chosen) <= rounding]


def _area(drawn: Sequence[tuple[float, Contour, Points]], shape: tuple[int, int]) -> tuple[Mask, bool]:
    """The pixels of the contours of one depth, and whether some overlap."""
    mask, overlap = united([corners for _, contour, corners in drawn if not contour.exclusive], shape)
    exclusive = [corners for _, contour, corners in drawn if contour.exclusive]
    return (mask ^ filled(exclusive, shape) if exclusive else mask), overlap


def _off(at: npt.NDArray[np.float64], index: int, spacing_mm: float, named: bool) -> str:
    across_mm = float(np.ptp(at[:, 0])) * spacing_mm
    if across_mm > spacing_mm:
        return f"a contour runs over {across_mm:.1f} mm across the images, needed contours in their planes"
    away_mm = abs(float(np.median(at[:, 0])) - index) * spacing_mm
    what = "the image that it names" if named else "the nearest image"
    return f"a contour lies {away_mm:.1f} mm off {what}, needed half a slice ({spacing_mm / 2:.2f} mm) or less"


def _cropped(outlined: Outlined, mask: npt.NDArray[np.bool_], first: int) -> Region | None:
    sides = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not len(sides[0]):
        return None
    inner = tuple(slice(int(side[0]), int(side[-1]) + 1) for side in sides)
    slices = slice(inner[0].start + first, inner[0].stop + first)
    return Region(
        segment=outlined.segment,
        number=outlined.number,
        box=(slices, inner[1], inner[2]),
        mask=mask[inner].copy(),
        algorithm=outlined.algorithm,
    )
