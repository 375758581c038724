"""A MONAI bundle becomes a bundle that answers as its network does, or nothing stays of it."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest

from dicomnode.domain.errors import ConfigError
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.train.importing.written import toml

torch = pytest.importorskip("torch", reason="importing needs the extra `train`")
nets = pytest.importorskip("monai.networks.nets", reason="needs monai, which makes the networks of bundles")

from dicomnode.train.importing import onnx_bundle  # noqa: E402
from dicomnode.train.importing.monai import Options, import_monai  # noqa: E402

LOAD = {"_target_": "LoadImaged", "keys": "image"}
SCALE = {"_target_": "ScaleIntensityd", "keys": "image"}
SOFTMAX = {"_target_": "Activationsd", "keys": "pred", "softmax": True}
ARGMAX = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}


def definition(dimensions: int = 3) -> dict[str, Any]:
    return {
        "_target_": "UNet", "spatial_dims": dimensions, "in_channels": 1, "out_channels": 3, "channels": [4, 8],
        "strides": [2], "norm": "batch",
    }  # fmt: skip


def write(
    folder: Path, dimensions: int = 3, labels: tuple[str, ...] = ("background", "liver", "spleen"), **changes: Any
) -> Path:
    """A bundle with weights of chance."""
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True)
    torch.manual_seed(0)
    made = definition(dimensions)
    network = nets.UNet(**{key: value for key, value in made.items() if key != "_target_"})
    torch.save({"model": network.state_dict()}, folder / "models" / "model.pt")
    roi: dict[str, Any] = {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 8]}
    if dimensions == 2:
        roi = {"_target_": "SliceInferer", "roi_size": [16, 16], "spatial_dim": 2}
    config = {
        "device": "$torch.device('cpu')",
        "network_def": made,
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": [LOAD, SCALE]},
        "inferer": roi,
        "postprocessing": {"_target_": "Compose", "transforms": [SOFTMAX, ARGMAX]},
        **changes,
    }  # fmt: skip
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    form = {
        "inputs": {"image": {"num_channels": 1, "modality": "CT", "channel_def": {"0": "image"}}},
        "outputs": {"pred": {"channel_def": {str(number): name for number, name in enumerate(labels)}}},
    }
    metadata = {"name": "Made", "license": "CC-BY-4.0", "intended_use": "None.", "network_data_format": form}
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def options(models: Path, **changes: Any) -> Options:
    return Options(name="made", models=models, **changes)


@pytest.mark.parametrize("dimensions", [3, 2])
def test_a_bundle_becomes_one_that_was_held_against_its_source(tmp_path: Path, models: Path, dimensions: int) -> None:
    said: list[str] = []
    made = import_monai(write(tmp_path / "source", dimensions), options(models), said.append)
    found, broken = find_bundles(models)
    assert (list(found), broken) == (["made"], {})
    spec = found["made"]
    assert spec.tile.shape == ((16, 16, 8) if dimensions == 3 else (1, 16, 16))
    assert [segment.type.meaning for segment in spec.segments] == ["Liver", "Spleen"]
    assert (spec.licence, spec.title) == ("CC-BY-4.0", "Made")
    assert any("largest difference" in line for line in said) and any("ran on a phantom" in line for line in said)
    card = (made / "CARD.md").read_text()
    for heading in ("Intended use", "Data", "Model", "Training", "Performance", "Limits", "Licence"):
        assert f"## {heading}" in card
    assert "The source says: None." in card and "UNet(" in card


class Spoil:
    """What a checkpoint must not run."""

    def __reduce__(self) -> Any:
        return os.system, ("exit 1",)


def test_a_checkpoint_is_read_without_running_what_it_holds(tmp_path: Path, models: Path) -> None:
    source = write(tmp_path / "source")
    torch.save({"model": Spoil()}, source / "models" / "model.pt")
    with pytest.raises(ConfigError, match=r"holds (posix|nt|os)\.system, which would be run"):
        import_monai(source, options(models), print)
    assert list(models.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_a_truncated_checkpoint_is_refused_in_one_line(tmp_path: Path, models: Path, kept: int) -> None:
    source = write(tmp_path / "source")
    path = source / "models" / "model.pt"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ConfigError, match=r"truncated or of another kind|is no checkpoint of PyTorch") as caught:
        import_monai(source, options(models), print)
    assert "\n" not in str(caught.value)
    assert list(models.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"network_def": {**definition(), "_target_": "evil.nets.UNet"}}, "evil.nets.UNet.*not MONAI's own"),
        ({"network_def": {**definition(), "_target_": "TorchVisionFCModel"}}, "not among the networks"),
        ({"network_def": {**definition(), "strides": "$[2]"}}, "strides.*expression"),
        ({"network_def": {**definition(), "act": {"_target_": "torch.nn.ReLU"}}}, "would have to be made"),
        ({"network_def": {**definition(), "channels": [4, 16]}}, "weights are those of another network"),
        ({"network_def": {**definition(), "shape": 3}}, "cannot be made of these arguments"),
        ({"network_def": "$UNet()"}, "expression"),
        ({"network_def": None}, "missing"),
        ({"postprocessing": None}, "decides nothing"),
        (
            {"inferer": {"_target_": "SlidingWindowInferer", "roi_size": [15, 16, 8]}},
            "logits has slice 16, needed 15",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_and_nothing_stays(
    tmp_path: Path, models: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(Exception, match=told) as caught:
        import_monai(write(tmp_path / "source", **changes), options(models), print)
    assert type(caught.value).__module__ == "dicomnode.domain.errors"
    assert list(models.iterdir()) == []


def test_labels_need_codes_and_a_background(tmp_path: Path, models: Path) -> None:
    with pytest.raises(ConfigError, match=r"zorblax.*no code is known"):
        import_monai(write(tmp_path / "one", labels=("background", "liver", "zorblax")), options(models), print)
    with pytest.raises(ConfigError, match="background"):
        import_monai(write(tmp_path / "two", labels=("kidney", "liver", "spleen")), options(models), print)
    assert list(models.iterdir()) == []


def scripted(path: Path) -> None:
    network = nets.UNet(**{key: value for key, value in definition().items() if key != "_target_"}).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(network, torch.zeros(1, 1, 16, 16, 8)).save(str(path))


def test_torchscript_is_run_only_where_somebody_said_so(tmp_path: Path, models: Path) -> None:
    source = write(tmp_path / "source", network_def=None)
    (source / "models" / "model.pt").unlink()
    scripted(source / "models" / "model.ts")
    with pytest.raises(ConfigError, match=r"--allow-torchscript.*is a program"):
        import_monai(source, options(models), print)
    assert list(models.iterdir()) == []
    import_monai(source, options(models, allow_torchscript=True), print)
    assert [path.name for path in models.iterdir()] == ["made"]


def test_any_torchscript_file_is_imported_by_answers(tmp_path: Path, models: Path) -> None:
    scripted(tmp_path / "network.ts")
    answers = {
        "input": {"ct": {"Modality": "CT"}}, "tile": {"shape": [16, 16, 8]},
        "segment": [{"label": "liver"}, {"label": "spleen"}],
    }  # fmt: skip
    (tmp_path / "answers.toml").write_text(toml(answers))
    asked = onnx_bundle.Options(
        name="made", models=models, answers=tmp_path / "answers.toml", allow_torchscript=True
    )  # fmt: skip
    said: list[str] = []
    onnx_bundle.import_torchscript(tmp_path / "network.ts", asked, lambda question, default: "", said.append)
    assert find_bundles(models)[0]["made"].manufacturer == "imported from TorchScript"
    assert any("PyTorch and onnxruntime on the same input: largest difference" in line for line in said)
    (tmp_path / "network.ts").write_bytes(b"PK")
    with pytest.raises(ConfigError, match="truncated or of another kind"):
        onnx_bundle.import_torchscript(tmp_path / "network.ts", asked, lambda question, default: "", print)
