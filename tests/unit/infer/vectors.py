"""Networks of a signature made by hand, each with the same computation in plain numpy, and bundles round them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicomnode.domain.model import ModelSpec
from dicomnode.infer.bundle.load import load_bundle

onnx = pytest.importorskip("onnx")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT

CODE = '{{ value = "{value}", scheme = "99TEST", meaning = "{meaning}" }}'

Score = Callable[[Sequence[float]], float]


@dataclass(frozen=True, slots=True)
class Tree:
    """Splits (feature, threshold, below or at it, above it) by node; leaves hold a value."""

    splits: dict[int, tuple[int, float, int, int]]
    leaves: dict[int, float]

    def value(self, vector: Sequence[float]) -> float:
        node = 0
        while node in self.splits:
            feature, threshold, low, high = self.splits[node]
            node = low if vector[feature] <= threshold else high
        return self.leaves[node]


#: Two trees over two features.
FOREST = (
    Tree({0: (0, 0.5, 1, 2), 2: (1, -0.25, 3, 4)}, {1: 0.1, 3: 0.6, 4: 0.9}),
    Tree({0: (1, 0.75, 1, 2)}, {1: 0.2, 2: 0.8}),
)


def _model(nodes: Sequence[Any], outputs: Sequence[Any], constants: Sequence[Any] = (), count: int = 2) -> bytes:
    graph = helper.make_graph(
        list(nodes), "signature", [helper.make_tensor_value_info("features", FLOAT, [None, count])], list(outputs),
        list(constants),
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _out(name: str = "logits", channels: int = 1) -> Any:
    return helper.make_tensor_value_info(name, FLOAT, [None, channels])


def cox(weights: Sequence[float] = (0.7, -1.2)) -> tuple[bytes, Score]:
    """The linear predictor of proportional hazards."""
    kernel = helper.make_tensor("w", FLOAT, [len(weights), 1], list(weights))
    node = helper.make_node("MatMul", ["features", "w"], ["logits"])
    return _model([node], [_out()], [kernel], len(weights)), lambda vector: float(np.dot(vector, weights))


def logistic(weights: Sequence[float] = (0.7, -1.2), bias: float = 0.3) -> tuple[bytes, Score]:
    """A linear classifier of two classes as scikit-learn's converter writes it: channel 1 is the second class."""
    node = helper.make_node(
        "LinearClassifier", ["features"], ["label", "raw"], domain="ai.onnx.ml",
        classlabels_ints=[0, 1], coefficients=[*(-value for value in weights), *weights], intercepts=[-bias, bias],
        post_transform="LOGISTIC",
    )  # fmt: skip
    cast = helper.make_node("Identity", ["raw"], ["logits"])
    return (
        _model([node, cast], [_out(channels=2)]),
        lambda vector: float(1 / (1 + np.exp(-(np.dot(vector, weights) + bias)))),
    )


def forest(aggregate: str = "AVERAGE", base: float = 0.0, transform: str = "NONE") -> bytes:
    """The trees as one ensemble: a random forest averages them, gradient boosting adds them."""
    columns: dict[str, list[Any]] = {name: [] for name in ("tree", "node", "feature", "mode", "value", "low", "high")}
    leaves: list[tuple[int, int, float]] = []
    for number, tree in enumerate(FOREST):
        for node in sorted({*tree.splits, *tree.leaves}):
            feature, threshold, low, high = tree.splits.get(node, (0, 0.0, 0, 0))
            mode = "BRANCH_LEQ" if node in tree.splits else "LEAF"
            for name, value in zip(columns, (number, node, feature, mode, threshold, low, high), strict=True):
                columns[name].append(value)
            if node in tree.leaves:
                leaves.append((number, node, tree.leaves[node]))
    node_ = helper.make_node(
        "TreeEnsembleRegressor", ["features"], ["logits"], domain="ai.onnx.ml",
        nodes_treeids=columns["tree"], nodes_nodeids=columns["node"], nodes_featureids=columns["feature"],
        nodes_modes=columns["mode"], nodes_values=columns["value"], nodes_truenodeids=columns["low"],
        nodes_falsenodeids=columns["high"], target_treeids=[leaf[0] for leaf in leaves],
        target_nodeids=[leaf[1] for leaf in leaves], target_ids=[0] * len(leaves),
        target_weights=[leaf[2] for leaf in leaves], n_targets=1, aggregate_function=aggregate,
        base_values=[base], post_transform=transform,
    )  # fmt: skip
    return _model([node_], [_out()])


def random_forest() -> tuple[bytes, Score]:
    return forest(), lambda vector: float(np.mean([tree.value(vector) for tree in FOREST]))


def boosting() -> tuple[bytes, Score]:
    def score(vector: Sequence[float]) -> float:
        return -0.4 + sum(tree.value(vector) for tree in FOREST)

    return forest("SUM", base=-0.4), score


PLATT = """
[signature.calibration]
method = "platt"
name = { value = "RISK", scheme = "99TEST", meaning = "Risk of progression" }
source = "211 patients of another hospital"
slope = 1.5
intercept = -0.5
"""

DISTRIBUTION = """
[signature.distribution]
percentiles = [0, 50, 100]
scores = [-10.0, 0.0, 10.0]
patients = 300
source = "the development cohort"
"""

FEATURES = """
[[signature.feature]]
name = "original_firstorder_Mean"
mask = "lesion"
mean = 40.0
std = 10.0
{first}
[[signature.feature]]
name = "PatientAge"
mean = 60.0
std = 8.0
{second}
"""

CASCADE = '[cascade]\nfolder = "coarse"\n'

MODEL = """
[model]
name = "signature"
version = "1"
title = "A signature"
status = "demo"
task = "score"
manufacturer = "tests"
licence = "MIT"
onnx = "model0.onnx"
sha256 = "{sha256}"
[input.ct]
Modality = "CT"
"""

SCORE = """
[[score]]
number = 0
name = { value = "SCORE", scheme = "99TEST", meaning = "Score of progression" }
unit = { value = "1", scheme = "UCUM", meaning = "no units" }
"""


def description(
    content: bytes,
    *,
    first: str = "",
    second: str = "",
    signature: str = "",
    features: str = FEATURES,
    more: str = DISTRIBUTION,
    regions: str = CASCADE,
    rest: str = SCORE,
) -> str:
    """A model.toml of a signature; `first` and `second` belong to the features, `signature` to their table."""
    text = MODEL.format(sha256=hashlib.sha256(content).hexdigest())
    text += f'[signature]\nendpoint = "progression"\nhorizon = "2 years"\n{signature}\n'
    return text + features.format(first=first, second=second) + more + regions + rest


def bundle(folder: Path, content: bytes, coarse: str = "", **options: str) -> ModelSpec:
    """Write a signature and load it; `coarse` is the model.toml of what finds the lesions."""
    place = folder / "signature"
    place.mkdir(parents=True, exist_ok=True)
    (place / "model0.onnx").write_bytes(content)
    (place / "model.toml").write_text(description(content, **options))
    if coarse or "coarse" in options.get("regions", CASCADE):
        (place / "coarse").mkdir(exist_ok=True)
        (place / "coarse" / "model.toml").write_text(coarse or COARSE)
    return load_bundle(place)


COARSE = """
[model]
name = "coarse"
version = "1"
title = "Lesions"
status = "demo"
task = "segment"
manufacturer = "tests"
licence = "MIT"
onnx = "model.onnx"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
[input.ct]
Modality = "CT"
[tile]
shape = [8, 16, 16]
overlap = 0.0
batch = 1
[output]
activation = "softmax"
[[segment]]
number = 1
label = "Lesion"
subject = "lesion"
category = { value = "49755003", scheme = "SCT", meaning = "Morphologically Abnormal Structure" }
type = { value = "4147007", scheme = "SCT", meaning = "Mass" }
"""
