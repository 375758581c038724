"""An asymmetric marker of three boxes in patient space, and the places that a SEG gives back."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset

from tests.series.scan import Floats, Scan, Stored, upright

#: A lattice in the patient whose spacing tells the axes apart, (x, y, z) in LPS.
LATTICE = (28, 24, 32)
SPACING_MM = (2.0, 2.5, 3.0)
ORIGIN_MM = (-23.0, -41.5, 117.25)
BACKGROUND, MARKER = 0, 800

#: Three boxes of different sizes: a corner, one to its left, one behind and above; (x, y, z) ranges of the lattice.
BOXES = (
    ((8, 14), (7, 11), (8, 14)),
    ((17, 21), (7, 9), (8, 11)),
    ((8, 10), (14, 17), (20, 23)),
)


def upright_marker() -> Scan:
    """The marker as axial images on its own lattice."""
    return upright(lattice(), SPACING_MM, ORIGIN_MM)


def lattice() -> Stored:
    """The marker in the patient, (x, y, z)."""
    values = np.full(LATTICE, BACKGROUND, dtype=np.int16)
    for box in BOXES:
        values[tuple(slice(*limits) for limits in box)] = MARKER
    return values


def sampled(affine: Floats, shape: tuple[int, ...]) -> Scan:
    """What images on another grid show of the boxes: each voxel has the value of the place of its centre."""
    scan = Scan(values=np.zeros(shape, dtype=np.int16), affine=affine)
    centres = scan.centres_mm()
    inside = np.zeros(shape, dtype=bool)
    for box in BOXES:
        low, high = (np.array(ends) - 0.5 for ends in zip(*box, strict=True))
        place = (centres - ORIGIN_MM) / SPACING_MM
        inside |= ((place >= low) & (place < high)).all(axis=-1)
    return Scan(values=np.where(inside, MARKER, BACKGROUND).astype(np.int16), affine=affine)


def points_of(segmentation: Dataset) -> Floats:
    """Centres of all voxels of a SEG in LPS mm, worked out from its functional groups alone (PS3.3 C.7.6.2.1.1)."""
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    found = []
    for frame, own in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        cosines = macro(own, shared, "PlaneOrientationSequence").ImageOrientationPatient
        between_rows, between_columns = macro(own, shared, "PixelMeasuresSequence").PixelSpacing
        corner = np.array(macro(own, shared, "PlanePositionSequence").ImagePositionPatient, dtype=float)
        rows, columns = np.nonzero(frame)
        along, down = np.array(cosines[:3], dtype=float), np.array(cosines[3:], dtype=float)
        found.append(
            corner + np.outer(columns * float(between_columns), along) + np.outer(rows * float(between_rows), down)
        )
    return np.concatenate(found)


def macro(own: Dataset, shared: Dataset, keyword: str) -> Dataset:
    """The item of a functional group of one frame, from the shared ones where it is not the frame's own."""
    item: Dataset = (own if keyword in own else shared)[keyword][0]
    return item
