"""How a series was made is told alike by single-frame and multi-frame objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dicomnode.flow.comparing.circumstances import circumstances
from dicomnode.infer.read.volume import read_series
from dicomnode.measure.change.circumstances import Circumstances
from tests.series import classic
from tests.series.enhanced import enhanced_ct
from tests.series.header import Place
from tests.series.scan import Scan

AFFINE = np.array([[0, 0, 2.5, 0], [0, 2.5, 0, 0], [4.0, 0, 0, 0], [0, 0, 0, 1]])
SCAN = Scan(values=np.arange(8 * 32 * 32, dtype=np.int16).reshape(8, 32, 32), affine=AFFINE)
PLACE = Place(study="s", series="c", frame="f", more={"StudyDate": "20260101"})


def test_an_enhanced_object_tells_its_thickness_and_kernel(tmp_path: Path) -> None:
    enhanced_ct(SCAN, PLACE).save_as(tmp_path / "a.dcm", enforce_file_format=True)
    found = circumstances(read_series([tmp_path / "a.dcm"]))
    assert found == Circumstances(modality="CT", thickness_mm=4.0, kernel="STANDARD")


def test_a_kernel_of_several_values_is_one_text(tmp_path: Path) -> None:
    paths = []
    for index, ds in enumerate(classic.ct(SCAN, PLACE)):
        ds.ConvolutionKernel, ds.SliceThickness = ["I30f", "3"], 5.0
        paths.append(tmp_path / f"{index}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    found = circumstances(read_series(paths))
    assert (found.kernel, found.thickness_mm) == ("I30f 3", 5.0)
