"""Networks that want weights from other files are refused before onnxruntime looks for them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from dicomnode.domain.errors import ModelError
from dicomnode.infer.network.external import require_self_contained


def tensor(location: str = "") -> onnx.TensorProto:
    weights = numpy_helper.from_array(np.ones(4, np.float32), "w")
    if location:
        weights.ClearField("raw_data")
        weights.data_location = onnx.TensorProto.EXTERNAL
        weights.external_data.add(key="location", value=location)
    return weights


def network(weights: onnx.TensorProto, where: str) -> bytes:
    """A network that adds `weights`, which stand in the place of that name."""
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4]) for name in ("x", "y")]
    if where == "initializer":
        graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", values[:1], values[1:], [weights])
    elif where == "constant":
        nodes = [helper.make_node("Constant", [], ["w"], value=weights), helper.make_node("Add", ["x", "w"], ["y"])]
        graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    else:
        inner = helper.make_graph([helper.make_node("Identity", ["w"], ["z"])], "i", [], values[1:], [weights])
        graph = helper.make_graph([helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)], "g",
                                  values[:1], values[1:])  # fmt: skip
    return bytes(helper.make_model(graph).SerializeToString())


@pytest.mark.parametrize("where", ["initializer", "constant", "subgraph"])
@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "weights.bin"])
def test_weights_in_another_file_are_refused_wherever_they_stand(where: str, location: str) -> None:
    with pytest.raises(ModelError, match=r"model m: n\.onnx keeps weights in other files"):
        require_self_contained("m", "n.onnx", network(tensor(location), where))


@pytest.mark.parametrize("where", ["initializer", "constant", "subgraph"])
def test_a_network_that_holds_its_weights_is_taken(where: str) -> None:
    require_self_contained("m", "n.onnx", network(tensor(), where))


def test_a_network_that_is_cut_short_is_refused_in_words() -> None:
    whole = network(tensor(), "initializer")
    with pytest.raises(ModelError, match="cut short"):
        require_self_contained("m", "n.onnx", whole[:-3])
