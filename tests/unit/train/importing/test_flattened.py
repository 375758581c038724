"""A network whose convolutions over volumes are written as convolutions over pictures answers as it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

onnx = pytest.importorskip("onnx", reason="importing needs the extra `train`")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from dicomnode.train.importing.flattened import flatten_convolutions  # noqa: E402


def convolving(
    path: Path, weights: np.ndarray, *, bias: bool = True, tile: tuple[int, int, int] = (4, 5, 7), **changes: Any
) -> Path:
    """A file with two such convolutions in a row, the second on as many channels as the first gives."""
    random = np.random.default_rng(1)
    labels = len(weights)
    named = {"one": weights, "two": random.normal(size=(labels, labels, *weights.shape[2:])).astype(np.float32)}
    if bias:
        named["added"] = random.normal(size=labels).astype(np.float32)
    how: dict[str, Any] = {
        "kernel_shape": [*weights.shape[2:]],
        "pads": [side // 2 for side in weights.shape[2:]] * 2,
        **changes,
    }
    nodes = [
        helper.make_node("Conv", ["image", "one", *(["added"] if bias else [])], ["between"], **how),
        helper.make_node("Relu", ["between"], ["bent"]),
        helper.make_node("Conv", ["bent", "two"], ["logits"], **how),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", weights.shape[1], *tile])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels, None, None, None])
    graph = helper.make_graph(
        nodes, "made", [image], [logits], [numpy_helper.from_array(one, name) for name, one in named.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def answer(path: Path, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(["logits"], {"image": image})[0]
    return found


def volume(channels: int, tile: tuple[int, int, int] = (4, 5, 7), batch: int = 1) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(batch, channels, *tile)).astype(np.float32)


def kernel(labels: int, channels: int, *sides: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(labels, channels, *sides)).astype(np.float32)


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(str(path)).graph.node]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tile", [(4, 5, 7), (1, 1, 1), (2, 9, 3)])
@pytest.mark.parametrize("batch", [1, 3])
def test_it_answers_the_same(tmp_path: Path, bias: bool, tile: tuple[int, int, int], batch: int) -> None:
    path = convolving(tmp_path / "model.onnx", kernel(3, 2, 3, 3, 3), bias=bias, tile=tile)
    before = answer(path, volume(2, tile, batch))
    assert flatten_convolutions(path) == 2
    after = answer(path, volume(2, tile, batch))
    assert after.shape == before.shape == (batch, 3, *tile)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-4)


def test_no_convolution_over_volumes_is_left(tmp_path: Path) -> None:
    path = convolving(tmp_path / "model.onnx", kernel(3, 2, 3, 3, 3))
    flatten_convolutions(path)
    graph = onnx.load(str(path)).graph
    kernels = {tuple(numpy_helper.to_array(one).shape[2:]) for one in graph.initializer if one.name.count("_row_")}
    assert kernels == {(3, 3)}
    assert operators(path).count("Conv") == 6
    assert {one.name for one in graph.initializer}.isdisjoint({"one", "two"})


@pytest.mark.parametrize(
    ("sides", "changes"),
    [
        ((1, 3, 3), {}),
        ((3, 3, 3), {"strides": [1, 2, 2]}),
        ((3, 3, 3), {"dilations": [2, 2, 2], "pads": [2] * 6}),
        ((3, 3, 3), {"pads": [0] * 6}),
    ],
)
def test_other_convolutions_stay_as_they_are(
    tmp_path: Path, sides: tuple[int, int, int], changes: dict[str, Any]
) -> None:
    path = convolving(tmp_path / "model.onnx", kernel(3, 2, *sides), tile=(8, 8, 8), **changes)
    before = answer(path, volume(2, (8, 8, 8)))
    assert flatten_convolutions(path) == 0
    assert operators(path) == ["Conv", "Relu", "Conv"]
    assert np.array_equal(answer(path, volume(2, (8, 8, 8))), before)


def test_a_network_for_pictures_stays_as_it_is(tmp_path: Path) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2, 8, 8])
    node = helper.make_node("Conv", ["image", "one"], ["logits"], kernel_shape=[3, 3], pads=[1] * 4)
    graph = helper.make_graph([node], "made", [image], [logits], [numpy_helper.from_array(kernel(2, 1, 3, 3), "one")])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    assert flatten_convolutions(path) == 0
    assert operators(path) == ["Conv"]
