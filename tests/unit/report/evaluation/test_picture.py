"""The picture of a worst case, held against its own pixels."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from highdicom import Volume
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset

from dicomnode.domain.code import Code
from dicomnode.domain.finding import SourceSeries, planes_of
from dicomnode.domain.model import Segment
from dicomnode.report.evaluation.picture import ANSWER_RGB, difference_png

BLOCK = (slice(20, 28), slice(22, 32))
MASS = Segment(
    number=1,
    label="Mass",
    category=Code(value="49755003", scheme="SCT", meaning="Morphologically Abnormal Structure"),
    type=Code(value="4147007", scheme="SCT", meaning="Mass"),
)


def _ends(held: NDArray[np.bool_]) -> list[float]:
    """First and last edge of what is marked, down and right, in pixels."""
    ends = []
    for axis in (1, 0):
        places = np.flatnonzero(held.any(axis=axis))
        ends += [float(places[0]), float(places[-1] + 1)]
    return ends


def test_an_outline_runs_along_the_edge_of_what_it_outlines() -> None:
    volume = Volume(np.zeros((5, 60, 60), np.int16), np.diag([4.0, 2.0, 2.0, 1.0]), coordinate_system="PATIENT")
    mask = np.zeros(volume.array.shape, dtype=np.bool_)
    mask[2][BLOCK] = True
    volume.array[mask] = 3000
    header = Dataset()
    header.Modality = "CT"
    source = SourceSeries(volume=volume, planes=planes_of([header]))
    png = difference_png(source, np.zeros_like(mask), mask, MASS)
    assert png is not None
    drawn = np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)
    outline = np.abs(drawn - ANSWER_RGB).sum(axis=2) < 30
    # 25 mm of margin are 13 voxels in front (from 12.5 on) and 12 behind, and the longer side has 420 pixels.
    scale = 420 / (13 + 10 + 12)
    edges = [13 * scale, (13 + 8) * scale, 13 * scale, (13 + 10) * scale]
    # A line of 2 pixels lies on either side of the edge.
    assert _ends(outline) == pytest.approx([edges[0] - 1, edges[1] + 1, edges[2] - 1, edges[3] + 1], abs=1.5)
