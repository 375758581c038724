"""Writes convolutions over volumes as convolutions over pictures, which onnxruntime computes faster on a processor.

Its kernels for pictures work in blocks of channels; those for volumes copy every neighbourhood out and multiply then.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import GraphProto, NodeProto, helper, numpy_helper, shape_inference

Array = npt.NDArray[np.generic]

#: The convolutions that are rewritten: those are what U-Nets are made of.
_KERNEL = [3, 3, 3]
_PADS = [1] * 6
_PLAIN = {"strides": [1, 1, 1], "dilations": [1, 1, 1], "group": 1}


def flatten_convolutions(path: Path) -> int:
    """Rewrite the network of a file in place; it answers the same but for rounding.

    The slices of a volume are laid one below the other in one picture, a row of zeros after each. Then the three depths
    of a kernel are three rows, as far apart as a slice is high, and its three rows are three such convolutions, each a
    row further down, whose answers are added up.

    Parameters
    ----------
    path
        An ONNX file whose tiles have known sides; the batch may stay open.

    Returns
    -------
    int
        How many convolutions were rewritten.
    """
    model = onnx.load(str(path))
    graph = model.graph
    shapes = _shapes(shape_inference.infer_shapes(model).graph)
    weights = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    nodes: list[NodeProto] = []
    added: dict[str, Array] = {}
    count = 0
    for node in graph.node:
        if _is_suited(node, shapes, weights):
            nodes += _flattened(node, shapes[node.input[0]], weights[node.input[1]], added, count)
            count += 1
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    kept = [one for one in graph.initializer if one.name in used]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in added.items())
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return count


def _shapes(graph: GraphProto) -> dict[str, list[int]]:
    """Lengths of the axes of every value, 0 where they are open."""
    return {
        value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }


def _is_suited(node: NodeProto, shapes: dict[str, list[int]], weights: dict[str, Array]) -> bool:
    if node.op_type != "Conv" or node.input[1] not in weights or len(shapes.get(node.input[0], ())) != 5:
        return False
    told = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    plain = all(told.get(name, value) == value for name, value in _PLAIN.items())
    known = all(shapes[node.input[0]][1:])
    return plain and known and told.get("kernel_shape") == _KERNEL and told.get("pads") == _PADS


def _flattened(
    node: NodeProto, shape: list[int], weights: Array, added: dict[str, Array], number: int
) -> Iterator[NodeProto]:
    """What takes the place of one convolution of (label, channel, slice, row, column)."""
    _, _, slices, rows, columns = shape
    pitch, name = rows + 1, f"flat_{number}"

    def constant(what: str, value: Array) -> str:
        added[f"{name}_{what}"] = value
        return f"{name}_{what}"

    def numbers(what: str, *values: int) -> str:
        return constant(what, np.array(values, dtype=np.int64))

    yield helper.make_node("Pad", [node.input[0], numbers("below", *[0] * 8, 1, 0)], [f"{name}_apart"])
    # An axis of 0 stays as it is.
    yield helper.make_node("Reshape", [f"{name}_apart", numbers("picture", 0, 0, -1, columns)], [f"{name}_flat"])
    total = ""
    for row in range(3):
        own = constant(f"row_{row}", np.ascontiguousarray(weights[:, :, :, row]))
        bias = [*node.input[2:]] if row == 0 else []
        answer, shift = f"{name}_answer_{row}", row - 1
        yield helper.make_node(
            "Conv", [f"{name}_flat", own, *bias], [answer], kernel_shape=[3, 3], dilations=[pitch, 1],
            pads=[pitch - shift, 1, pitch + shift, 1],
        )  # fmt: skip
        if total:
            yield helper.make_node("Add", [answer, total], [f"{name}_total_{row}"])
        total = f"{name}_total_{row}" if total else answer
    yield helper.make_node("Reshape", [total, numbers("volume", 0, 0, slices, pitch, columns)], [f"{name}_deep"])
    ends = [numbers("first", 0), numbers("end", rows), numbers("axis", 3)]
    yield helper.make_node("Slice", [f"{name}_deep", *ends], [node.output[0]])
