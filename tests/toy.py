"""A toy bundle: one 1×1×1 convolution that calls whatever is dense enough a lesion, so the answer is known exactly."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

TOML = """
[model]
name = "toy"
version = "1.0.0"
title = "Dense voxels"
status = "demo"
task = "segment"
manufacturer = "tests"
licence = "Apache-2.0"
onnx = "model.onnx"
sha256 = "{sha256}"
[input.ct]
Modality = "CT"
[[prepare]]
step = "resample"
spacing_mm = [4.0, 2.0, 2.0]
outside = -1024.0
[[prepare]]
step = "clip"
range = [-1000.0, 1000.0]
[[prepare]]
step = "scale"
range = [-1000.0, 1000.0]
[tile]
shape = [8, 16, 16]
overlap = 0.25
batch = 1
[output]
activation = "softmax"
[valid]
slice_spacing_mm = [0.4, 8.0]
minimum_slices = 4
[[segment]]
number = 1
label = "Dense"
category = {{ value = "49755003", scheme = "SCT", meaning = "Morphologically Abnormal Structure" }}
type = {{ value = "4147007", scheme = "SCT", meaning = "Mass" }}
anatomic_region = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
"""


#: Says of the toy what CLAIM asks of a card.
CARD = """# A toy
## Intended use
For tests of the node alone.
## Data
None; the reference is the threshold itself.
## Model
One convolution with one weight.
## Training
There was no training, so nothing was held out.
## Performance
Dice 1.0 by construction.
## Limits
Whatever is dense is a lesion.
## Licence
Apache-2.0, as the rest.
"""


def network(threshold_hu: float = 0.0) -> bytes:
    """An ONNX network that labels voxels above a threshold."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    scaled = (threshold_hu + 1000) / 2000
    shape: list[Any] = ["slice", "row", "column"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w", "b"], ["logits"])],
        "threshold",
        [helper.make_tensor_value_info("image", kind, ["batch", 1, *shape])],
        [helper.make_tensor_value_info("logits", kind, ["batch", 2, *shape])],
        [
            helper.make_tensor("w", kind, [2, 1, 1, 1, 1], [0.0, 400.0]),
            helper.make_tensor("b", kind, [2], [0.0, -400.0 * scaled]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content


def write_bundle(models: Path, content: bytes | None = None, toml: str = TOML) -> Path:
    """Write the bundle `toy` below `models`; its folder."""
    folder = models / "toy"
    folder.mkdir(parents=True)
    content = network() if content is None else content
    (folder / "model.onnx").write_bytes(content)
    (folder / "model.toml").write_text(toml.format(sha256=hashlib.sha256(content).hexdigest()))
    (folder / "CARD.md").write_text(CARD)
    return folder
