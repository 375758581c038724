"""Networks of a few hundred bytes, and bundles for every task round them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from dicomnode.domain.model import ModelSpec
from dicomnode.infer.bundle.load import load_bundle

onnx = pytest.importorskip("onnx")
helper, FLOAT, HALF = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
PLACE = ["slice", "row", "column"]

CODE = '{ value = "4147007", scheme = "SCT", meaning = "Mass" }'


def network(
    nodes: Sequence[Any],
    inputs: Mapping[str, Sequence[Any]],
    outputs: Mapping[str, Sequence[Any]],
    constants: Mapping[str, npt.NDArray[Any]],
    kind: int = FLOAT,
) -> bytes:
    """The bytes of an ONNX model."""
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    assert len(content) < 100_000
    return content


def mixing(
    weights: Sequence[Sequence[float]],
    bias: Sequence[float],
    axes: int = 5,
    kind: int = FLOAT,
    batch: Any = "batch",
    kernel: npt.NDArray[np.float32] | None = None,
) -> bytes:
    """A convolution, by default of one voxel: logits = weights · channels + bias.

    Parameters
    ----------
    weights
        (out, in).
    kernel
        (out, in, …) instead.
    """
    dtype = np.float16 if kind == HALF else np.float32
    matrix = np.array(weights, dtype=dtype) if kernel is None else kernel
    if kernel is None:
        matrix = matrix.reshape(*matrix.shape, *[1] * (axes - 2))
    place = PLACE[5 - axes :]
    return network(
        [helper.make_node("Conv", ["image", "w", "b"], ["logits"], auto_pad="SAME_UPPER")],
        {"image": [batch, matrix.shape[1], *place]},
        {"logits": [batch, len(matrix), *place]},
        {"w": matrix, "b": np.array(bias, dtype=dtype)},
        kind,
    )


def pooling(
    weights: Sequence[Sequence[float]], bias: Sequence[float], features: int = 0, batch: Any = "batch"
) -> bytes:
    """The mean over a tile and the features, mixed into a vector: weights (out, 1 + features)."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
    ]
    inputs: dict[str, Sequence[Any]] = {"image": [batch, 1, *PLACE]}
    if features:
        inputs["features"] = [batch, features]
        nodes.append(helper.make_node("Concat", ["flat", "features"], ["all"], axis=1))
    nodes.append(helper.make_node("Gemm", ["all" if features else "flat", "w", "b"], ["logits"], transB=1))
    constants = {"w": np.array(weights, dtype=np.float32), "b": np.array(bias, dtype=np.float32)}
    return network(nodes, inputs, {"logits": [batch, len(weights)]}, constants)


def detecting(threshold: float, labels: int = 1, half: float = 0.5) -> bytes:
    """A box round every voxel above a threshold; its score, the same for all labels, is the voxel's value."""
    nodes = [
        helper.make_node("Greater", ["image", "limit"], ["bright"]),
        helper.make_node("NonZero", ["bright"], ["turned"]),
        helper.make_node("Transpose", ["turned"], ["where"], perm=[1, 0]),
        helper.make_node("Slice", ["where", "from", "to", "axis"], ["place"]),
        helper.make_node("Cast", ["place"], ["centre"], to=FLOAT),
        helper.make_node("Sub", ["centre", "half"], ["low"]),
        helper.make_node("Add", ["centre", "half"], ["high"]),
        helper.make_node("Concat", ["low", "high"], ["boxes"], axis=1),
        helper.make_node("GatherND", ["image", "where"], ["values"]),
        helper.make_node("Unsqueeze", ["values", "axis"], ["column"]),
        helper.make_node("Tile", ["column", "often"], ["scores"]),
    ]
    constants = {
        "limit": np.float32(threshold),
        "half": np.float32(half),
        "from": np.array([2]),
        "to": np.array([5]),
        "axis": np.array([1]),
        "often": np.array([1, labels]),
    }
    arrays = {name: np.asarray(value) for name, value in constants.items()}
    return network(nodes, {"image": [1, 1, *PLACE]}, {"boxes": ["n", 6], "scores": ["n", labels]}, arrays)


def description(
    task: str,
    networks: Sequence[bytes],
    *,
    name: str = "small",
    inputs: Sequence[str] = ("ct",),
    tile: str = "shape = [8, 16, 16]\noverlap = 0.25\nbatch = 1",
    output: str = 'activation = "softmax"',
    labels: int = 1,
    derived: int = 0,
    model: str = "",
    rest: str = "",
    prepare: str = '[[prepare]]\nstep = "clip"\nrange = [-1000.0, 1000.0]\n'
    '[[prepare]]\nstep = "scale"\nrange = [-1000.0, 1000.0]\n',
) -> str:
    """A model.toml; `rest` follows the tables, `model` belongs to [model]."""
    hashes = [hashlib.sha256(content).hexdigest() for content in networks]
    weights = f'onnx = "model0.onnx"\nsha256 = "{hashes[0]}"\n' if len(networks) == 1 else ""
    folds = "".join(
        f'[[model.fold]]\nonnx = "model{number}.onnx"\nsha256 = "{one}"\n' for number, one in enumerate(hashes)
    )
    text = f'[model]\nname = "{name}"\nversion = "1"\ntitle = "Small"\nstatus = "research"\ntask = "{task}"\n'
    text += f'manufacturer = "tests"\nlicence = "MIT"\n{weights}{model}\n' + (folds if len(networks) > 1 else "")
    text += "".join(f'[input.{one}]\nModality = "{one.upper()}"\n' for one in inputs)
    text += f"{prepare}[tile]\n{tile}\n[output]\n{output}\n{rest}\n"
    if task in {"segment", "detect"}:
        for number in range(1, labels + derived + 1):
            text += f'[[segment]]\nnumber = {number}\nlabel = "Label {number}"\ncategory = {CODE}\ntype = {CODE}\n'
            text += "derived = true\n" if number > labels else ""
    table = {"classify": "class", "score": "score"}.get(task)
    for number in range(labels if table else 0):
        text += f"[[{table}]]\nnumber = {number}\n"
        code = f'{{ value = "{number}", scheme = "99TEST", meaning = "Answer {number}" }}'
        text += f'label = "Answer {number}"\ncode = {code}\n' if task == "classify" else f"name = {code}\n"
        text += 'unit = { value = "1", scheme = "UCUM", meaning = "no units" }\n' if task == "score" else ""
    return text


def write(folder: Path, networks: Sequence[bytes], text: str) -> Path:
    """Write a bundle; its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(networks):
        (folder / f"model{number}.onnx").write_bytes(content)
    (folder / "model.toml").write_text(text)
    return folder


def bundle(folder: Path, task: str, *networks: bytes, **options: Any) -> ModelSpec:
    """Write a bundle into a folder of its name in `folder`, and load it."""
    text = description(task, networks, **options)
    return load_bundle(write(folder / options.get("name", "small"), networks, text))
