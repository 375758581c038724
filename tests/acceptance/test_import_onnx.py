"""A published network that is imported by answers finds in the node what it finds elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from highdicom.seg import segread

from tests.acceptance.test_import_nnunet import Peer, command

pytestmark = pytest.mark.acceptance

#: MeshNet looks at whole heads of 256³ voxels of 1 mm whose axes run to the left, down and to the front.
ANSWERS = """
[input.mr]
Modality = "MR"

[[prepare]]
step = "reorient"
orientation = "LIA"
[[prepare]]
step = "restep"
spacing_mm = [1.0, 1.0, 1.0]
[[prepare]]
step = "crop_or_pad"
shape = [256, 256, 256]
outside = 0.0
[[prepare]]
step = "minmax"
percentiles = [2.0, 98.0]

[tile]
shape = [256, 256, 256]
overlap = 0.0

[[segment]]
label = "brain"
"""


def test_meshnet_finds_the_brain_that_it_finds_elsewhere(tmp_path: Path, real_data: Path) -> None:
    network = real_data / "models_onnx_derived" / "mindgrab.onnx"
    series = real_data / "mr_t1_philips_mprage"
    reference = real_data / "reference_values" / "meshnet_e2e" / "mr_t1_philips_mprage__mindgrab.nii.gz"
    models, answers, here = tmp_path / "models", tmp_path / "answers.toml", Peer(python="", packages="")
    models.mkdir()
    answers.write_text(ANSWERS)
    said = command(
        here, "models", "import", "onnx", network, "--name", "mindgrab", "--folder", models, "--answers", answers,
        "--licence", "MIT",
    )  # fmt: skip
    assert "largest difference" in said
    command(here, "process", series, "--models", models, "--model", "mindgrab", "--out", tmp_path / "out")
    expected: Any = SimpleITK.ReadImage(str(reference))
    expected_ml = (SimpleITK.GetArrayFromImage(expected) == 1).sum() * np.prod(expected.GetSpacing()) / 1000
    (path,) = (path for path in sorted((tmp_path / "out").rglob("*.dcm")) if "seg" in path.name.lower())
    volume = segread(path).get_volume(combine_segments=True, allow_missing_positions=True)
    found_ml = (volume.array == 1).sum() * volume.voxel_volume / 1000
    assert found_ml == pytest.approx(expected_ml, rel=0.02)
