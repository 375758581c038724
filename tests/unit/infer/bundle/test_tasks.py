"""What model.toml says about tasks, tiles, networks and steps after them, and what of it contradicts itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dicomnode.domain.errors import ConfigError
from dicomnode.domain.model import ModelSpec, NetworkSpec, Step, Task
from tests.unit.infer.small import CODE, bundle

TILE = "shape = [1, 16, 16]\noverlap = 0.5\n"
POST = '[[post]]\nstep = "{}"\n{}\n'
QUESTION = f'activation = "softmax"\nquestion = {CODE}'


def loaded(folder: Path, task: str = "segment", *, networks: int = 1, **options: Any) -> ModelSpec:
    return bundle(folder, task, *(b"%d" % number for number in range(networks)), **options)


def test_tiles_say_how_the_window_slides(tmp_path: Path) -> None:
    more = 'batch = "auto"\nneighbours = 2\nmirror = [2, 1]\nskip_below = 0.1'
    tile = loaded(tmp_path, inputs=("ct", "pt"), tile=TILE + more).tile
    assert (tile.batch, tile.neighbours, tile.mirror, tile.skip_below) == (0, 2, (2, 1), 0.1)
    assert loaded(tmp_path, inputs=("ct", "pt"), tile=TILE + more).channels == 10


def test_names_thresholds_and_features_reach_the_model(tmp_path: Path) -> None:
    spec = loaded(
        tmp_path, "detect", labels=2, output='activation = "sigmoid"\nscore_at_least = 0.3\niou = 0.1',
        rest='[network]\ninput = "x"\nboxes = "b"', model='features = ["PatientAge"]\nsensitivity = "0.9 in 30 cases"',
    )  # fmt: skip
    assert spec.task is Task.DETECT
    assert spec.network == NetworkSpec(input="x", boxes="b", labels=2, score_at_least=0.3, iou=0.1)
    assert spec.features == ("PatientAge",)
    assert spec.sensitivity == "0.9 in 30 cases"


def test_folds_are_the_networks_of_an_ensemble(tmp_path: Path) -> None:
    spec = loaded(tmp_path, networks=3)
    assert [one.onnx for one in spec.weights] == ["model0.onnx", "model1.onnx", "model2.onnx"]
    assert len({one.sha256 for one in spec.weights}) == 3
    assert spec.recipe != loaded(tmp_path, networks=2).recipe


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("argmax", "", {}),
        ("threshold", "threshold = [0.5, 0.3]", {"threshold": (0.5, 0.3), "resolve": "highest"}),
        ("keep_largest", "segments = [2]\npieces = 3", {"segments": (2,), "pieces": 3}),
        ("minimum_volume", "volume_ml = 0.5", {"volume_ml": 0.5}),
        ("fill_holes", "slicewise = true", {"slicewise": True}),
        ("closing", "radius_mm = 3.0", {"radius_mm": 3.0}),
        ("opening", "radius_mm = 3.0", {"radius_mm": 3.0}),
        ("merge", "segments = [1]\ninto = 2", {"segments": (1,), "into": 2}),
        ("mask_by", "segments = [1]\nby = 2", {"by": 2, "keep": "inside", "margin_mm": 0.0, "whole": False}),
        ("lesions", "segments = [1]\ninto = [3]", {"into": (3,), "certainty": False}),
    ],
)
def test_every_step_is_read_with_its_defaults(
    tmp_path: Path, name: str, options: str, expected: dict[str, object]
) -> None:
    (step,) = loaded(tmp_path, labels=2, derived=1, rest=POST.format(name, options)).post
    assert step == Step(name=name, options={"segments": (), **step.options, **expected})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tile": "shape = [2, 4, 4]\noverlap = 0.0\nbatch = 1\nneighbours = 1"}, "needed one slice per tile"),
        ({"tile": TILE + "batch = 1\nmirror = [1, 1]"}, "names an axis twice"),
        ({"tile": TILE + "batch = 1\nmirror = [0]"}, "mirror names axis 0"),
        ({"tile": TILE + "batch = 1\nmirror = [3]"}, r"tile\.mirror\[0\]"),
        ({"tile": TILE + 'batch = "all"'}, r"tile\.batch"),
        ({"rest": POST.format("paint", "")}, "argmax"),
        ({"rest": POST.format("keep_largest", "segments = [9]")}, r"names segments \[9\], needed some that exist"),
        ({"rest": POST.format("keep_largest", "") + POST.format("argmax", "")}, "needed as the first"),
        ({"rest": POST.format("argmax", "segments = [1]")}, "needed none: all compete"),
        ({"rest": POST.format("threshold", "threshold = [0.5, 0.5]")}, "has 2 thresholds, needed one for each"),
        ({"rest": POST.format("threshold", "segments = [2]\nthreshold = [0.5]"), "derived": 1}, "needed channels"),
        ({"rest": POST.format("merge", "into = 1")}, "names no segments"),
        ({"rest": POST.format("mask_by", "by = 4")}, r"names segments \[4\]"),
        ({"rest": POST.format("lesions", "segments = [1]\ninto = [2]"), "labels": 2}, "derived = true"),
        ({"task": "classify", "labels": 2}, r"without output\.question"),
        ({"task": "classify", "labels": 0, "output": QUESTION}, r"task classify without \[\[class\]\]"),
        ({"task": "score", "labels": 1, "rest": POST.format("argmax", "")}, "these steps treat masks"),
        ({"model": 'onnx = "a.onnx"', "networks": 2}, r"beside \[\[model\.fold\]\]"),
        ({"model": 'features = ["Foo"]'}, r"model\.features\[0\] = 'Foo': no DICOM keyword; write one"),
        ({"model": 'features = ["PatientWieght"]'}, r"no DICOM keyword; did you mean PatientWeight\?"),
        ({"model": 'features = ["PatientName"]'}, "an attribute of VR PN, needed one that holds a number"),
        ({"model": 'features = ["PatientAge", "PatientAge"]'}, "features names PatientAge twice"),
        ({"labels": 0, "derived": 1}, "every segment is derived, needed one at least"),
        ({"rest": '[cascade]\nfolder = "../other"\nmargin_mm = 1.0'}, r"cascade\.folder"),
    ],
)
def test_a_contradiction_is_a_fault_that_says_what_is_needed(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        loaded(tmp_path, **options)


def test_a_model_without_a_network_is_a_fault(tmp_path: Path) -> None:
    spec = loaded(tmp_path)
    path = spec.folder / "model.toml"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith(("onnx", "sha"))))
    with pytest.raises(ConfigError, match="onnx and sha256 are missing"):
        bundle_again(path)


def bundle_again(path: Path) -> None:
    from dicomnode.infer.bundle.load import load_bundle

    load_bundle(path.parent)


@pytest.mark.parametrize(
    ("task", "labels", "output", "said"),
    [
        ("classify", 2, QUESTION, "classes are numbered"),
        ("score", 2, 'activation = "none"', "scores are numbered"),
    ],
)
def test_answers_are_numbered_as_channels(tmp_path: Path, task: str, labels: int, output: str, said: str) -> None:
    spec = loaded(tmp_path, task, labels=labels, output=output)
    path = spec.folder / "model.toml"
    path.write_text(path.read_text().replace("number = 1", "number = 4"))
    with pytest.raises(ConfigError, match=rf"{said} \[0, 4\], needed 0 to 1"):
        bundle_again(path)


@pytest.mark.parametrize(
    ("task", "output", "old", "new", "said"),
    [
        ("classify", QUESTION, 'value = "1"', 'value = "0"', r"classes share the code \(0, 99TEST\), needed"),
        ("classify", QUESTION, 'g = "Answer 1"', 'g = "Answer 0"', "classes share the meaning Answer 0, needed"),
        ("score", 'activation = "none"', 'value = "1", scheme = "99', 'value = "0", scheme = "99', "scores share the"),
    ],
)
def test_answers_that_no_reader_could_tell_apart_are_a_fault(
    tmp_path: Path, task: str, output: str, old: str, new: str, said: str
) -> None:
    spec = loaded(tmp_path, task, labels=2, output=output)
    path = spec.folder / "model.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=said):
        bundle_again(path)
