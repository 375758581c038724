"""Bundles that benchmarks make for themselves: two labels at native spacing, and a 2D U-Net on patches of slices."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from dicomnode.domain.model import ModelSpec
from dicomnode.infer.bundle.load import load_bundle

_HEAD = """
[model]
name = "{name}"
version = "1.0.0"
title = "Made for a benchmark"
status = "demo"
task = "segment"
manufacturer = "bench"
licence = "Apache-2.0"
onnx = "model.onnx"
sha256 = "{sha256}"
[input.ct]
Modality = "CT"
[[prepare]]
step = "clip"
range = [-1000.0, 1000.0]
[[prepare]]
step = "scale"
range = [-1000.0, 1000.0]
[tile]
shape = {tile}
overlap = {overlap}
batch = 1
[output]
activation = "softmax"
[[post]]
step = "keep_largest"
[[post]]
step = "fill_holes"
"""

_SEGMENT = """
[[segment]]
number = {number}
label = "Label {number}"
category = {{ value = "91723000", scheme = "SCT", meaning = "Anatomical Structure" }}
type = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
"""

#: Features of the U-Net's two levels; with more, what surrounds the network would weigh less.
_FEATURES = (16, 32)


def native(folder: Path) -> ModelSpec:
    """A bundle with two labels that works on the source's own grid; its network thresholds."""
    nodes = [helper.make_node("Conv", ["image", "w", "b"], ["logits"])]
    weights = [
        helper.make_tensor("w", TensorProto.FLOAT, [3, 1, 1, 1, 1], [0.0, -60.0, 60.0]),
        helper.make_tensor("b", TensorProto.FLOAT, [3], [0.0, 15.0, -30.0]),
    ]
    whole = ["batch", None, "slice", "row", "column"]
    return _saved(folder, _model(nodes, weights, whole), tile=[16, 192, 192], overlap=0.25)


def flat(folder: Path) -> ModelSpec:
    """A bundle with two labels and a 2D U-Net of two levels, on patches that overlap by half."""
    first, second = _FEATURES
    random = np.random.default_rng(0)
    nodes: list[Any] = []
    weights: list[Any] = []

    def convolved(source: str, name: str, channels: tuple[int, int], size: int = 3) -> str:
        values = random.normal(0, 1 / np.sqrt(channels[0] * size**2), (channels[1], channels[0], size, size))
        weights.append(numpy_helper.from_array(values.astype(np.float32), f"{name}.w"))
        nodes.append(helper.make_node("Conv", [source, f"{name}.w"], [name], pads=[size // 2] * 4))
        return name

    def block(source: str, name: str, channels: tuple[int, int]) -> str:
        for number, (before, after) in enumerate((channels, (channels[1], channels[1]))):
            source = convolved(source, f"{name}{number}", (before, after))
            nodes.append(helper.make_node("Relu", [source], [f"{source}+"]))
            source = f"{source}+"
        return source

    fine = block("image", "down", (1, first))
    nodes.append(helper.make_node("MaxPool", [fine], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]))
    coarse = block("pooled", "bottom", (first, second))
    weights.append(numpy_helper.from_array(np.array([1, 1, 2, 2], dtype=np.float32), "twice"))
    nodes.append(helper.make_node("Resize", [coarse, "", "twice"], ["wide"], mode="nearest"))
    nodes.append(helper.make_node("Concat", ["wide", fine], ["both"], axis=1))
    last = block("both", "up", (first + second, first))
    nodes[-1].output[0] = last
    convolved(last, "logits", (first, 3), 1)
    return _saved(folder, _model(nodes, weights, ["batch", None, "row", "column"]), tile=[1, 320, 320], overlap=0.5)


def _model(nodes: list[Any], weights: list[Any], shape: list[Any]) -> ModelProto:
    channels = ((1, "image"), (3, "logits"))
    image, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [shape[0], count, *shape[2:]])
        for count, name in channels
    )
    graph = helper.make_graph(nodes, "bench", [image], [logits], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _saved(folder: Path, model: ModelProto, *, tile: list[int], overlap: float) -> ModelSpec:
    content = model.SerializeToString()
    digest = hashlib.sha256(content).hexdigest()
    folder.mkdir()
    (folder / "model.onnx").write_bytes(content)
    (folder / "model.toml").write_text("".join(_tables(folder.name, digest, tile, overlap)))
    return load_bundle(folder)


def _tables(name: str, sha256: str, tile: list[int], overlap: float) -> Iterator[str]:
    yield _HEAD.format(name=name, sha256=sha256, tile=tile, overlap=overlap)
    yield from (_SEGMENT.format(number=number) for number in (1, 2))
