"""Any ONNX file becomes a bundle by answers, or nothing stays of it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dicomnode.domain.errors import ConfigError, ModelError
from dicomnode.infer.bundle.load import load_bundle, verify

onnx = pytest.importorskip("onnx", reason="importing needs the extra `train`")

from dicomnode.train.importing.interview import interview  # noqa: E402
from dicomnode.train.importing.onnx_bundle import Options, import_onnx  # noqa: E402
from dicomnode.train.importing.onnx_graph import read_graph  # noqa: E402
from dicomnode.train.importing.written import toml  # noqa: E402

ANSWERS: dict[str, Any] = {
    "input": {"ct": {"Modality": "CT"}},
    "prepare": [{"step": "scale", "range": [-1000.0, 1000.0]}],
    "tile": {"shape": [8, 16, 16]},
    "segment": [{"label": "lung"}],
}


def model(operator: str = "Conv", domain: str = "", sides: tuple[Any, ...] = ("s", "r", "c"), opset: int = 17) -> Any:
    """A convolution that answers with two channels."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node(operator, ["image", "w"], ["answer"], domain=domain)
    weights = helper.make_tensor("w", kind, [2, 1, *[1] * len(sides)], [1.0, -1.0])
    graph = helper.make_graph(
        [node], "made",
        [helper.make_tensor_value_info("image", kind, ["n", 1, *sides])],
        [helper.make_tensor_value_info("answer", kind, ["n", 2, *sides])],
        [weights],
    )  # fmt: skip
    imports = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def written(folder: Path, network: Any) -> Path:
    path = folder / "network.onnx"
    path.write_bytes(network.SerializeToString())
    return path


def never(question: str, default: str) -> str:
    raise AssertionError(question)


def imported(source: Path, models: Path, answers: dict[str, Any] | None = None) -> tuple[Path, list[str]]:
    said: list[str] = []
    file = models.parent / "answers.toml"
    file.write_text(toml(ANSWERS if answers is None else answers))
    return import_onnx(source, Options(name="made", models=models, answers=file), never, said.append), said


def test_a_file_and_answers_become_a_bundle_that_was_held_against_its_source(tmp_path: Path, models: Path) -> None:
    bundle, said = imported(written(tmp_path, model()), models)
    spec = load_bundle(bundle)
    verify(spec)
    assert (spec.network.input, spec.network.output) == ("image", "answer")
    assert spec.segments[0].type.value == "39607008"
    assert any("largest difference 0" in line for line in said)
    assert any("ran on a phantom" in line for line in said)
    card = (bundle / "CARD.md").read_text()
    assert "MISSING" in card and "not for clinical use" in card
    assert [path.name for path in models.iterdir()] == ["made"]


def test_lengths_that_the_network_states_need_no_answer(tmp_path: Path, models: Path) -> None:
    answers = {key: value for key, value in ANSWERS.items() if key != "tile"}
    source = written(tmp_path, model(sides=(24, 20)))
    bundle, _ = imported(source, models, answers)
    assert load_bundle(bundle).tile.shape == (1, 24, 20)


def test_weights_in_a_file_beside_it_are_taken_in(tmp_path: Path, models: Path) -> None:
    onnx.save_model(model(), str(tmp_path / "network.onnx"), save_as_external_data=True, location="w", size_threshold=0)
    bundle, _ = imported(tmp_path / "network.onnx", models)
    found = onnx.load_model(str(bundle / "model.onnx"), load_external_data=False)
    assert list(onnx.numpy_helper.to_array(found.graph.initializer[0]).ravel()) == [1.0, -1.0]


def external(location: str, **more: str) -> Any:
    network = model()
    tensor = network.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    return network


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (lambda: model("Shake"), "operator Shake is not one of ONNX"),
        (lambda: model("Shake", "acme"), "operator acme.Shake is not one of ONNX"),
        (lambda: model(opset=999), "operators of set 999"),
        (lambda: external("../w"), "outside the folder"),
        (lambda: external("/etc/passwd"), "outside the folder"),
        (lambda: external("..\\w"), "outside the folder"),
        (lambda: external("linked"), "outside the folder"),
        (lambda: external("gone"), "are not there"),
        (lambda: external("short", length="8"), "shorter than"),
    ],
    ids=["operator", "domain", "opset", "above", "absolute", "backslash", "link", "gone", "short"],
)
def test_what_is_not_whole_or_not_known_is_refused_and_nothing_stays(
    tmp_path: Path, models: Path, network: Callable[[], Any], told: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (tmp_path / "w").write_bytes(bytes(8))
    (source / "linked").symlink_to(tmp_path / "w")
    (source / "short").write_bytes(bytes(4))
    with pytest.raises(ConfigError, match=told):
        imported(written(source, network()), models)
    assert list(models.iterdir()) == []


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(tmp_path: Path, models: Path, kept: float) -> None:
    whole = model().SerializeToString()
    source = tmp_path / "network.onnx"
    source.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ConfigError, match=r"truncated or of another kind|export it again"):
        imported(source, models)
    assert list(models.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"input": {}}, "input.*missing"),
        ({"segment": [{"label": "zorblax"}]}, "zorblax.*no code is known"),
        ({"segment": {}}, "segment.*missing"),
        ({"segment": [{"label": 3}]}, "segment.*missing"),
        ({"tile": {"shape": 3}}, "tile.shape"),
        ({"model": [{"name": "x"}]}, "model.*table"),
        ({"output": [{"activation": "x"}]}, "output.*table"),
        ({"tile": {}}, "tile.shape.*leaves it open"),
        ({"network": {"output": "other"}}, "network.output"),
        ({"prepare": [{"step": "scael"}]}, "did you mean scale"),
        ({"model": {"name": "else"}}, "--name says made"),
        ({"strange": {"a": 1}}, "no such key"),
    ],
)
def test_answers_that_do_not_fit_are_refused_and_nothing_stays(
    tmp_path: Path, models: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        imported(written(tmp_path, model()), models, {**ANSWERS, **changes})
    assert list(models.iterdir()) == []


def test_more_labels_than_channels_are_refused_and_nothing_stays(tmp_path: Path, models: Path) -> None:
    with pytest.raises(ModelError, match="needed 3"):
        imported(written(tmp_path, model()), models, {**ANSWERS, "segment": [{"label": "lung"}, {"label": "liver"}]})
    assert list(models.iterdir()) == []


def asked(answers: Iterator[str]) -> Callable[[str, str], str]:
    def ask(question: str, default: str) -> str:
        return next(answers) or default

    return ask


def test_an_interview_asks_again_and_gives_the_same_as_a_file(tmp_path: Path, models: Path) -> None:
    said: list[str] = []
    given = iter([
        "", "lung", "", "QQQ", "RAS", "0 1 1", "2 2 2", "range 5 1", "range -1000 1000", "8 16", "8 16 16", "1", "0.5",
        "",
    ])  # fmt: skip
    bundle = import_onnx(written(tmp_path, model()), Options(name="made", models=models), asked(given), said.append)
    assert next(given, None) is None
    spec = load_bundle(bundle)
    assert [step.name for step in spec.prepare] == ["reorient", "resample", "clip", "scale"]
    assert spec.tile.shape == (8, 16, 16) and spec.tile.overlap == 0.5 and spec.activation == "softmax"
    for told in (
        "needed one at least",
        "needed three letters",
        "needed 3 numbers",
        "lower number",
        "three counts",
        "share",
    ):
        assert any(told in line for line in said), told


def test_what_the_graph_tells_is_not_asked(tmp_path: Path) -> None:
    graph = read_graph(written(tmp_path, model(sides=(8, 16, 16))))
    given = iter(["lung, liver", "MR", "source", "", "zscore nonzero", "0.25", "sigmoid"])
    tables = interview(graph, asked(given), lambda line: None)
    assert tomllib.loads(toml(tables))["tile"] == {"shape": [8, 16, 16], "overlap": 0.25}
    assert tables["prepare"] == [{"step": "zscore", "over": "foreground", "outside": 0.0}]
    assert [row["label"] for row in tables["segment"]] == ["lung", "liver"]
