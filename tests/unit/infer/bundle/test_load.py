"""Bundles: what is read from model.toml, and that every fault is told at once with a remedy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomnode.domain.errors import ConfigError, ModelError
from dicomnode.domain.model import ModelSpec, ModelStatus
from dicomnode.domain.rule import Operator
from dicomnode.infer.bundle.load import find_bundles, load_bundle, verify

Make = Callable[..., ModelSpec]


def replaced(*pairs: tuple[str, str]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1)
        return text

    return edit


def test_a_bundle_is_read_as_it_is_written(bundle: Make) -> None:
    spec = bundle(b"weights")
    assert (spec.name, spec.status, spec.task, spec.activation) == ("toy", ModelStatus.RESEARCH, "segment", "softmax")
    assert spec.prepare[0].options["spacing_mm"] == (2.0, 1.5, 1.25)
    assert (spec.tile.shape, spec.tile.overlap, spec.tile.batch) == ((8, 16, 16), 0.25, 1)
    assert spec.limit("orientations") == ("axial", "coronal", "sagittal")
    assert spec.plausible[0].limit == ((1, 2),)
    assert [segment.number for segment in spec.segments] == [1, 2]
    assert spec.segments[0].laterality is not None
    assert spec.segments[0].laterality.meaning == "Right"
    assert [(one.segment, one.range) for one in spec.plausible[1].limit] == [(1, (1.0, 900.0))]
    assert spec.segments[1].anatomic_region is None
    assert spec.input.name == "ct"
    assert spec.input.conditions[0].operator is Operator.EQUALS
    assert (spec.folder / "model.onnx").read_bytes() == b"weights"


def test_the_recipe_changes_with_every_byte_of_the_description(bundle: Make) -> None:
    one = bundle(b"weights")
    content = (one.folder / "model.toml").read_bytes()
    assert one.recipe == hashlib.sha256(content + one.weights[0].sha256.encode()).hexdigest()
    assert bundle(b"weights", edit=lambda text: text + "\n").recipe != one.recipe
    assert bundle(b"other").recipe != one.recipe


@pytest.mark.parametrize(
    ("old", "new", "key", "remedy"),
    [
        ('title = "Dense and denser"', 'titel = "Dense"', "model.titel", "did you mean title?"),
        ('title = "Dense and denser"', "", "model.title", "missing"),
        ('status = "research"', 'status = "certified"', "model.status", "write 'demo', 'research' or 'accepted'"),
        ('task = "segment"', 'task = "paint"', "model.task", "write 'segment', 'detect'"),
        ('onnx = "model.onnx"', 'onnx = "../model.onnx"', "model.onnx", "pattern"),
        ('name = "toy"', 'name = "Toy Model"', "model.name", "pattern"),
        ("overlap = 0.25", "overlap = 1.0", "tile.overlap", "less than 1"),
        ("overlap = 0.25", 'overlap = "0.25"', "tile.overlap", "valid number"),
        ("batch = 1", "batch = 1.0", "tile.batch", "integer"),
        ("shape = [8, 16, 16]", "shape = [8, 16]", "tile.shape[2]", "missing"),
        ("range = [-1000.0, 1000.0]", "range = [1000.0, -1000.0]", "prepare[1].range", "smaller number first"),
        ("outside = -1000.0", "outside = nan", "prepare[0].outside", "finite"),
        ("spacing_mm = [2.0", "spacing_mm = [0.0", "prepare[0].spacing_mm[0]", "greater than 0"),
        ('orientations = ["axial"', 'orientations = ["axal"', "valid.orientations[0]", "'axial'"),
        ("right_of = [[1, 2]]", "right_of = [[1, 3]]", "the file as a whole", "two different segments that exist"),
        ("right_of = [[1, 2]]", "whole = [3]", "the file as a whole", "whole names segment 3, needed 1 to 2"),
        ("[plausible]", "[valid.pet]\nrows = [9, 9]\n[plausible]", "the file as a whole", "[valid.pet] names an input"),
        ("minimum_slices = 4", "minimum_slice = 4", "valid.minimum_slice", "did you mean minimum_slices?"),
        ("minimum_slices = 4", "minimum_slices = { limit = 0 }", "valid.minimum_slices", "greater than or equal to 1"),
        ("[plausible]", '[valid.ct]\nunit = ["1"]\n[plausible]', "valid.ct.unit", "did you mean units?"),
        ("number = 2", "number = 3", "the file as a whole", "numbered [1, 3], needed 1 to 2"),
        ("number = 2", "number = 1", "the file as a whole", "numbered [1, 1], needed 1 to 2"),
        ("[output]", "[ouput]", "ouput", "did you mean output?"),
        ('Modality = "CT"', 'Modaltiy = "CT"', "input.ct.Modaltiy", "did you mean Modality?"),
        ('scheme = "SCT", meaning = "Lung"', 'scheme = "SRT", meaning = "Lung"', "segment[0].type.scheme", "retired"),
        ('label = "Right thing"', f'label = "{"x" * 65}"', "segment[0].label", "64 characters"),
        ("color_rgb = [197", "color_rgb = [297", "segment[0].color_rgb[0]", "255"),
        ("laterality =", "lateralty =", "segment[0].lateralty", "did you mean laterality?"),
    ],
)
def test_a_fault_is_told_with_its_key_and_a_remedy(bundle: Make, old: str, new: str, key: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as error:
        bundle(edit=replaced((old, new)))
    told = {fault.key.removeprefix("toy/model.toml: "): fault.remedy for fault in error.value.faults}
    assert key in told
    assert remedy in told[key]


def test_a_label_without_codes_is_a_fault(bundle: Make) -> None:
    with pytest.raises(ConfigError) as error:
        bundle(edit=replaced(('type = { value = "39607008", scheme = "SCT", meaning = "Lung" }', "")))
    assert "segment[0].type" in str(error.value)


def test_all_faults_are_told_at_once(bundle: Make) -> None:
    edit = replaced(
        ("batch = 1", "batch = 0"), ('version = "1.0.0"', ""), ('Modality = "CT"', 'Modality = { is = "CT" }')
    )
    with pytest.raises(ConfigError) as error:
        bundle(edit=edit)
    keys = {fault.key.removeprefix("toy/model.toml: ") for fault in error.value.faults}
    assert keys == {"tile.batch", "model.version", "input.ct.Modality.is"}


def test_several_inputs_come_in_the_order_in_which_they_are_written(bundle: Make) -> None:
    spec = bundle(edit=replaced(("[input.ct]", '[input.pet]\nModality = "PT"\n[input.ct]')))
    assert [one.name for one in spec.inputs] == ["pet", "ct"]
    assert [one.conditions[0].operand for one in spec.inputs] == ["PT", "CT"]
    assert spec.input.name == "pet"


def test_a_file_that_is_no_toml_or_absent_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_bundle(tmp_path)
    (tmp_path / "model.toml").write_text("[model\n")
    with pytest.raises(ConfigError, match="not a TOML file"):
        load_bundle(tmp_path)


def test_a_broken_bundle_does_not_hide_the_others(bundle: Make, tmp_path: Path) -> None:
    bundle(name="good")
    bundle(name="bad")
    (tmp_path / "models" / "bad" / "model.toml").write_text("")
    (tmp_path / "models" / "empty").mkdir()
    found, broken = find_bundles(tmp_path / "models")
    assert list(found) == ["good"]
    assert list(broken) == ["bad"]
    assert {fault.key for fault in broken["bad"].faults} >= {"bad/model.toml: model", "bad/model.toml: input"}


def test_a_model_is_called_as_its_folder(bundle: Make, tmp_path: Path) -> None:
    bundle(name="a")
    with pytest.raises(ConfigError, match=r"b/model\.toml: model\.name = 'a': the folder is called b; give both"):
        bundle(name="b", edit=replaced(('name = "b"', 'name = "a"')))
    found, broken = find_bundles(tmp_path / "models")
    assert found["a"].folder.name == "a"
    assert list(broken) == ["b"]


def test_all_contradictions_are_told_at_once(bundle: Make) -> None:
    edit = replaced(("number = 2", "number = 3"), ("right_of = [[1, 2]]", "right_of = [[1, 9]]\nwhole = [7]"))
    with pytest.raises(ConfigError) as error:
        bundle(edit=edit)
    said = [fault.remedy for fault in error.value.faults]
    assert len(said) >= 3
    for words in ("numbered [1, 3]", "two different segments that exist", "whole names segment 7"):
        assert sum(words in one for one in said) == 1


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    found, broken = find_bundles(tmp_path / "modles")
    assert not found
    assert "no such folder" in str(broken["modles"])


def test_a_network_is_believed_only_if_its_hash_matches(bundle: Make) -> None:
    spec = bundle(b"weights")
    verify(spec)
    (spec.folder / "model.onnx").write_bytes(b"others")
    other = hashlib.sha256(b"others").hexdigest()
    with pytest.raises(ModelError, match=rf"{other[:12]}…, needed {spec.weights[0].sha256[:12]}…"):
        verify(spec)
    (spec.folder / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"model\.onnx cannot be read"):
        verify(spec)
