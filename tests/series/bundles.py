"""Bundles for whole-node tests: a description with a network made on the spot."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

HEAD = """
[model]
name = "{name}"
version = "1.0.0"
title = "{name}"
status = "research"
task = "{task}"
manufacturer = "tests"
licence = "Apache-2.0"
onnx = "model.onnx"
sha256 = "{sha256}"
"""

DENSE = """
[[segment]]
number = 1
label = "Dense"
category = { value = "49755003", scheme = "SCT", meaning = "Morphologically Abnormal Structure" }
type = { value = "4147007", scheme = "SCT", meaning = "Mass" }
"""


def write(models: Path, name: str, body: str, network: bytes, *, task: str = "segment") -> Path:
    """Write the bundle `name` below `models`: the head of model.toml is made, `body` is the rest; its folder."""
    folder = models / name
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(network)
    digest = hashlib.sha256(network).hexdigest()
    (folder / "model.toml").write_text(HEAD.format(name=name, task=task, sha256=digest) + body)
    (folder / "CARD.md").write_text(f"# {name}\n")
    return folder


def serialized(
    nodes: Sequence[Any],
    inputs: dict[str, Sequence[int | str]],
    outputs: dict[str, Sequence[int | str]],
    weights: dict[str, tuple[Sequence[int], Sequence[float]]],
) -> bytes:
    """An ONNX network of nodes made by `onnx.helper.make_node`, with shapes by name; all numbers are float32."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, kind, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, list(shape)) for name, shape in outputs.items()],
        [helper.make_tensor(name, kind, list(shape), list(values)) for name, (shape, values) in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content


def threshold(level: float, *, channels: Sequence[float] = (1.0,), axes: int = 3) -> bytes:
    """A network that labels where the weighted sum of its prepared channels is above a level; 2D or 3D."""
    onnx = pytest.importorskip("onnx")
    shape: list[int | str] = [*("slice", "row", "column")[3 - axes :]]
    return serialized(
        [onnx.helper.make_node("Conv", ["image", "w", "b"], ["logits"])],
        {"image": ["batch", len(channels), *shape]},
        {"logits": ["batch", 2, *shape]},
        {
            "w": ([2, len(channels), *[1] * axes], [*[0.0] * len(channels), *(400.0 * one for one in channels)]),
            "b": ([2], [0.0, -400.0 * level]),
        },
    )
