"""What is measured of a lesion beside its volume: diameters, surface, place, distance to the pleura, parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from highdicom import Volume
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Measurement, Segmentation
from dicomnode.domain.measuring import MeasureSpec
from dicomnode.domain.model import Segment, Subject
from dicomnode.measure import codes, parts
from dicomnode.measure.diameter import axial, longest_3d
from dicomnode.measure.measured import Measured, joined, missing, row
from dicomnode.measure.mesh import at_border, doubtful, mesh_surface
from dicomnode.measure.pleura import gap
from dicomnode.measure.region import Region, voxel_volume_ml

#: A gantry tilts by 30° at most, so planes up to there are what radiology calls axial.
AXIAL_WITHIN_DEGREES = 30.0

_PLANAR = (
    (codes.LONG_AXIS, codes.MILLIMETER),
    (codes.SHORT_AXIS, codes.MILLIMETER),
)
_PRODUCT = ((codes.PRODUCT, codes.SQUARE_MILLIMETER),)
_OF_MESH = (
    (codes.DIAMETER_3D, codes.MILLIMETER),
    (codes.SURFACE_OF_MESH, codes.SQUARE_MILLIMETER),
    (codes.SPHERICITY, codes.NO_UNITS),
)


def is_lesion(segment: Segment) -> bool:
    """Whether a segment is measured as tumour boards want it."""
    return segment.subject is not Subject.STRUCTURE


def measure(volume: Volume, segmentation: Segmentation, region: Region, spec: MeasureSpec) -> Measured:
    """Everything about one lesion but its volumes; places in LPS mm, planes counted as those of the source."""
    return joined(
        (
            _planar(segmentation.volume, region),
            _of_mesh(segmentation.volume, region),
            _place(segmentation.volume, region),
            _pleura(segmentation, region, spec),
            parts.measure(
                region.segment.number,
                region.of(volume),
                region.mask,
                spec.parts,
                voxel_volume_ml(segmentation.volume),
            ),
            Measured(remarks=_remarks(segmentation.volume, region)),
        )
    )


def method_of_planes(volume: Volume) -> Code:
    """RECIST 1.1, and whether the planes of the series are axial."""
    affine = np.asarray(volume.affine)
    normal = np.cross(affine[:3, 1], affine[:3, 2])
    cosine = min(1.0, float(abs(normal[2]) / np.linalg.norm(normal)))
    axial_planes = np.degrees(np.arccos(cosine)) <= AXIAL_WITHIN_DEGREES
    return codes.RECIST if axial_planes else codes.RECIST_IN_OTHER_PLANES


def _planar(volume: Volume, region: Region) -> Measured:
    number = region.segment.number
    method = method_of_planes(volume)
    _, row_mm, column_mm = volume.spacing
    axes = axial(region.mask, row_mm, column_mm)
    if axes is None:
        text = "no plane has two pixels of the lesion that touch, needed to tell a diameter"
        return joined(
            missing(number, named, codes.INDETERMINATE, text, method=by)
            for named, by in ((_PLANAR, method), (_PRODUCT, codes.WHO))
        )
    plane = region.box[0].start + axes.plane
    long, short = (_lps(volume, region, ends) for ends in (axes.long, axes.short))
    product = axes.long_mm * axes.short_mm
    return Measured(
        measurements=(
            row(number, codes.LONG_AXIS, axes.long_mm, codes.MILLIMETER, method=method, points_mm=long, plane=plane),
            row(number, codes.SHORT_AXIS, axes.short_mm, codes.MILLIMETER, method=method, points_mm=short, plane=plane),
            row(number, codes.PRODUCT, product, codes.SQUARE_MILLIMETER, method=codes.WHO),
        )
    )


def _of_mesh(volume: Volume, region: Region) -> Measured:
    number = region.segment.number
    reason = doubtful(region.mask, region.box, volume.spatial_shape)
    if reason:
        return missing(number, _OF_MESH, codes.INDETERMINATE, reason)
    area_mm2, volume_mm3 = mesh_surface(region.mask, volume.spacing)
    longest_mm, ends = longest_3d(region.mask, np.asarray(volume.affine)[:3, :3])
    points = _lps(volume, region, ends)
    sphericity = (36 * np.pi * volume_mm3**2) ** (1 / 3) / area_mm2
    return Measured(
        measurements=(
            row(number, codes.DIAMETER_3D, longest_mm, codes.MILLIMETER, points_mm=points),
            row(number, codes.SURFACE_OF_MESH, area_mm2, codes.SQUARE_MILLIMETER),
            row(number, codes.SPHERICITY, sphericity, codes.NO_UNITS),
        )
    )


def _place(volume: Volume, region: Region) -> Measured:
    """The bounding box, each extent with the edge of the box that it is, and the centroid, each coordinate with it."""
    number = region.segment.number
    found: list[Measurement] = []
    corner = np.full(3, -0.5)
    for axis, (name, spacing_mm) in enumerate(zip(codes.EXTENTS, volume.spacing, strict=True)):
        length = region.mask.shape[axis]
        edge = np.array([corner, corner])
        edge[1, axis] += length
        points = _lps(volume, region, edge)
        extent_mm = length * spacing_mm
        found.append(row(number, name, extent_mm, codes.MILLIMETER, method=codes.BOUNDING_BOX, points_mm=points))
    middle = np.array([ndimage.center_of_mass(region.mask)])
    centroid = _lps(volume, region, middle)
    found += [
        row(number, name, coordinate, codes.MILLIMETER, points_mm=centroid)
        for name, coordinate in zip(codes.CENTROID, centroid[0], strict=True)
    ]
    return Measured(measurements=tuple(found))


def _pleura(segmentation: Segmentation, region: Region, spec: MeasureSpec) -> Measured:
    if not spec.lungs or region.segment.subject is not Subject.LESION:
        return Measured()
    lesions = [segment.number for segment in segmentation.segments if is_lesion(segment)]
    volume = segmentation.volume
    found = gap(volume.array, region, spec.lungs, lesions, tuple(volume.spacing))
    if found is None:
        return Measured()
    planes = {int(end[0]) for end in found.ends}
    return Measured(
        measurements=(
            row(
                region.segment.number,
                codes.PLEURAL_DISTANCE,
                found.distance_mm,
                codes.MILLIMETER,
                points_mm=_world(volume, found.ends),
                plane=planes.pop() if len(planes) == 1 else None,
            ),
        )
    )


def _remarks(volume: Volume, region: Region) -> tuple[str, ...]:
    found = []
    label = region.segment.label
    if at_border(region.box, volume.spatial_shape):
        found.append(f"{label}: touches the border of the image, so that it may be larger than measured.")
    _, pieces = ndimage.label(region.mask, structure=np.ones((3, 3, 3)))
    if pieces > 1:
        found.append(f"{label}: {pieces} pieces that do not touch, measured as one lesion.")
    return tuple(found)


def _lps(volume: Volume, region: Region, points: NDArray[np.float64]) -> NDArray[Any]:
    """LPS in mm of points in voxels of the region's box, shape (n, 3)."""
    return _world(volume, points + [part.start for part in region.box])


def _world(volume: Volume, points: NDArray[np.float64]) -> NDArray[Any]:
    affine = np.asarray(volume.affine, dtype=np.float64)
    placed: NDArray[Any] = points @ affine[:3, :3].T + affine[:3, 3]
    return placed
