"""Small cases with a reference: a CT with dense blocks, and a structure set in which somebody has drawn boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset

from tests.series import bundles, classic
from tests.series.header import Place
from tests.series.scan import upright
from tests.unit.infer.contours.drawn import structure_set

#: First and last voxel of a box along column, row and slice; half open.
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

COLUMN_MM, ROW_MM, SLICE_MM = 2.0, 2.0, 4.0
ORIGIN_MM = (-10.0, -20.0, 30.0)
SHAPE = (24, 20, 12)

#: 8 by 8 pixels on 4 slices.
BLOCK: Box = ((4, 12), (2, 10), (3, 7))

BODY = """
[input.ct]
Modality = "CT"
[[prepare]]
step = "scale"
range = [0.0, 1000.0]
[tile]
shape = [12, 20, 24]
overlap = 0.0
batch = 1
[output]
activation = "softmax"
"""


def bundle(models: Path, more: str = "", *, status: str = "research", name: str = "dense") -> Path:
    """A model that calls every voxel above 200 dense."""
    folder = bundles.write(models, name, BODY + bundles.DENSE + more, bundles.threshold(0.2))
    text = (folder / "model.toml").read_text()
    (folder / "model.toml").write_text(text.replace('status = "demo"', f'status = "{status}"', 1))
    return folder


def images(study: str, blocks: Sequence[Box] = (BLOCK,), **more: Any) -> list[Dataset]:
    """A CT of nothing with blocks of 400 in it."""
    lattice = np.zeros(SHAPE, np.int16)
    for columns, rows, slices in blocks:
        lattice[slice(*columns), slice(*rows), slice(*slices)] = 400
    scan = upright(lattice, (COLUMN_MM, ROW_MM, SLICE_MM), ORIGIN_MM)
    return classic.ct(scan, Place(study=study, series="ct", frame=study, more={"PatientID": study, **more}))


def drawn(ct: Sequence[Dataset], rois: Mapping[str, Sequence[Box]]) -> Dataset:
    """A structure set of boxes on these images."""
    first = ct[0]
    made = structure_set(
        {name: [_contour(box, index) for box in boxes for index in range(*box[2])] for name, boxes in rois.items()},
        frame=str(first.FrameOfReferenceUID),
        series=str(first.SeriesInstanceUID),
    )
    made.StudyInstanceUID, made.PatientID = first.StudyInstanceUID, first.PatientID
    made.SOPInstanceUID = f"{first.StudyInstanceUID}.5"[:64]
    made.SeriesInstanceUID = f"{first.StudyInstanceUID}.6"[:64]
    return made


def save(folder: Path, objects: Sequence[Dataset]) -> Path:
    """The objects as files of a new folder."""
    folder.mkdir(parents=True)
    for number, ds in enumerate(objects):
        ds.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return folder


def case(folder: Path, study: str, rois: Mapping[str, Sequence[Box]], blocks: Sequence[Box] = (BLOCK,)) -> Path:
    """A study with its reference below a folder."""
    ct = images(study, blocks)
    return save(folder / study, [*ct, drawn(ct, rois)])


def _contour(box: Box, index: int) -> Dataset:
    (left, right), (top, bottom), _slices = box
    x = [(edge - 0.5) * COLUMN_MM for edge in (left, right)]
    y = [(edge - 0.5) * ROW_MM for edge in (top, bottom)]
    z = ORIGIN_MM[2] + index * SLICE_MM
    item = Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", 4
    corners = [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]
    item.ContourData = [value for a, b in corners for value in (a + ORIGIN_MM[0], b + ORIGIN_MM[1], z)]
    return item
