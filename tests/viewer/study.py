"""A made CT with two dense bodies that looks different mirrored, turned or shifted, and a network that finds them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from dicomnode.train.phantoms import Phantom
from dicomnode.train.series import to_datasets
from tests.acceptance.phantom import PATIENT_ID, PATIENT_NAME, SPACING_MM
from tests.toy import TOML, write_bundle

SHAPE = (12, 64, 64)

#: Attenuation of the surroundings and of the two bodies.
HU = (-800, 300, 900)

#: Red and green, since the viewer's own lettering is blue.
COLOURS_RGB = ((255, 80, 80), (60, 220, 80))

_ORIGIN_MM = (-64.0, -64.0, 100.0)

_SECOND = """
color_rgb = [{0}, {1}, {2}]
[[segment]]
number = 2
label = "Denser"
category = {{{{ value = "49755003", scheme = "SCT", meaning = "Morphologically Abnormal Structure" }}}}
type = {{{{ value = "27925004", scheme = "SCT", meaning = "Nodule" }}}}
color_rgb = [{3}, {4}, {5}]
"""


def labels() -> npt.NDArray[np.uint8]:
    """Which voxels are a cone with its tip towards the head (1), and a block beside it (2); shape `SHAPE`."""
    slices, rows, columns = np.indices(SHAPE)
    cone = (slices >= 2) & (slices <= 8) & ((rows - 22) ** 2 + (columns - 40) ** 2 <= (13 - 1.3 * slices) ** 2)
    block = (slices >= 5) & (slices <= 10) & (rows >= 38) & (rows < 52) & (columns >= 10) & (columns < 20 + slices)
    found: npt.NDArray[np.uint8] = np.where(cone, 1, np.where(block, 2, 0)).astype(np.uint8)
    return found


def write_ct(folder: Path) -> tuple[str, tuple[str, ...]]:
    """Write the CT, made today; its Study Instance UID, and the SOP Instance UIDs of its slices from feet to head."""
    found = labels()
    phantom = Phantom(
        hounsfield=np.array(HU, dtype=np.int16)[found],
        labels=found,
        spacing_mm=SPACING_MM,
        origin_mm=_ORIGIN_MM,
        seed=4,
    )
    folder.mkdir(parents=True)
    datasets = sorted(
        to_datasets(phantom, patient_name=PATIENT_NAME, patient_id=PATIENT_ID, study_date=datetime.now(UTC).date()),
        key=lambda ds: float(ds.ImagePositionPatient[2]),
    )
    for number, ds in enumerate(datasets):
        ds.save_as(folder / f"{number:03}.dcm", enforce_file_format=True)
    return str(datasets[0].StudyInstanceUID), tuple(str(ds.SOPInstanceUID) for ds in datasets)


def write_model(folder: Path, subject: str = "structure") -> None:
    """Write a bundle whose network has an answer for each of the two attenuations, both of one `subject`."""
    toml = TOML + _SECOND.format(*COLOURS_RGB[0], *COLOURS_RGB[1]).strip() + "\n"
    for number in (1, 2):
        toml = toml.replace(f"number = {number}\n", f'number = {number}\nsubject = "{subject}"\n')
    write_bundle(folder, _network(), toml)


def _network() -> bytes:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    # Half-way between neighbouring attenuations, as the bundle scales them.
    first, second = ((low + high) / 2 / 2000 + 0.5 for low, high in pairwise(HU))
    axes = ["slice", "row", "column"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w", "b"], ["logits"])],
        "two thresholds",
        [helper.make_tensor_value_info("image", kind, ["batch", 1, *axes])],
        [helper.make_tensor_value_info("logits", kind, ["batch", 3, *axes])],
        [
            helper.make_tensor("w", kind, [3, 1, 1, 1, 1], [0.0, 400.0, 800.0]),
            helper.make_tensor("b", kind, [3], [0.0, -400.0 * first, -400.0 * (first + second)]),
        ],
    )
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    ).SerializeToString()
    return content
