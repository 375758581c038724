"""Both stages of an nnU-Net cascade become one bundle, the second of which takes the labels of the first."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomnode.domain.errors import ConfigError
from dicomnode.infer.bundle.load import find_bundles, load_bundle, verify
from tests.unit.train.importing.made import dataset, write_cascade

torch = pytest.importorskip("torch", reason="importing needs the extra `train`")

from dicomnode.train.importing.nnunet import Options, import_nnunet  # noqa: E402


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def test_both_stages_become_one_bundle_that_was_held_against_its_source(tmp_path: Path, models: Path) -> None:
    said: list[str] = []
    write_cascade(tmp_path / "Dataset900_Made", folds=2)
    chosen = Options(name="made", models=models, configuration="3d_cascade_fullres", folds=["1"], licence="MIT")
    import_nnunet(tmp_path / "Dataset900_Made", chosen, said.append)
    found, broken = find_bundles(models)
    assert (list(found), broken) == (["made"], {})
    spec = found["made"]
    verify(spec)
    assert spec.cascade is not None
    assert (spec.channels, spec.labelled, spec.cascade.channels) == (3, (1, 2), (1, 2))
    first = spec.cascade.model
    assert (first.name, first.folder.name, first.channels) == ("made-lowres", "lowres", 1)
    assert (first.tile.shape, spec.tile.shape) == ((4, 16, 16), (8, 16, 16))
    assert first.tile.mirror == spec.tile.mirror == (0, 1, 2)
    # The folds that were named are those of both stages.
    assert len(first.weights) == len(spec.weights) == 1
    told = [line.partition(":")[0] for line in said if "largest difference" in line]
    assert told == ["3d_lowres, fold 1", "fold 1"]
    assert "ran on a phantom" in said[-2]
    card = (models / "made" / "CARD.md").read_text()
    assert "second stage of a cascade" in card and "First stage: configuration 3d_lowres, PlainConvUNet" in card
    assert "- 3d_lowres, fold 1: largest difference" in card and "\n- fold 1: largest difference" in card


def test_regions_of_the_first_stage_come_in_the_order_of_the_labels_of_the_reference(
    tmp_path: Path, models: Path
) -> None:
    labels = {"background": 0, "liver": [1, 2], "spleen": 1}
    _, source = write_cascade(tmp_path / "x", dataset=dataset(labels=labels, regions_class_order=[2, 1]))
    codes = tmp_path / "codes.tsv"
    codes.write_text("label\tscheme\tvalue\tmeaning\nliver without spleen\t99HERE\tL1\tLiver without spleen\n")
    import_nnunet(source, Options(name="made", models=models, codes=codes), lambda _: None)
    spec = load_bundle(models / "made")
    assert spec.labelled == (2, 1)
    assert spec.cascade is not None
    assert [step.name for step in spec.cascade.model.post] == ["threshold"]


def test_no_clean_up_comes_between_the_stages(tmp_path: Path, models: Path) -> None:
    for source in write_cascade(tmp_path / "x"):
        path = source / "crossval_results_folds_0" / "postprocessing.json"
        path.parent.mkdir()
        name = "remove_all_but_largest_component_from_segmentation"
        kwargs = [{"labels_or_regions": [1]}]
        path.write_text(json.dumps({"postprocessing_fns": [name], "postprocessing_kwargs": kwargs}))
    import_nnunet(source, Options(name="made", models=models), lambda _: None)
    spec = load_bundle(models / "made")
    assert spec.cascade is not None
    assert ([step.name for step in spec.post], spec.cascade.model.post) == (["keep_largest"], ())


def drop_first(first: Path) -> None:
    shutil.rmtree(first)


def other_trainer(first: Path) -> None:
    first.rename(first.with_name("nnUNetTrainerOther__nnUNetPlans__3d_lowres"))


def other_labels(first: Path) -> None:
    labels = {"background": 0, "spleen": 1, "liver": 2}
    (first / "dataset.json").write_text(json.dumps(dataset(labels=labels)))


def other_channels(first: Path) -> None:
    (first / "dataset.json").write_text(json.dumps(dataset(channel_names={"0": "MR"})))


def other_fold(first: Path) -> None:
    (first / "fold_0").rename(first / "fold_3")


@pytest.mark.parametrize(
    ("harm", "folds", "told"),
    [
        (drop_first, (), r"__3d_lowres': no plans\.json in it: .*3d_cascade_fullres takes the labels of 3d_lowres"),
        (other_trainer, (), r"put that folder beside it, or import 3d_fullres"),
        (other_labels, (), r"3d_lowres/dataset\.json: labels = .*needed liver, spleen with the same numbers"),
        (other_channels, (), r"3d_lowres/dataset\.json: channel_names = .*needed CT with the same"),
        (other_fold, ("0",), r"no such fold .* in nnUNetTrainer__nnUNetPlans__3d_lowres; there are 3"),
    ],
)
def test_a_first_stage_that_is_missing_or_another_is_refused_by_name(
    tmp_path: Path, models: Path, harm: Callable[[Path], None], folds: tuple[str, ...], told: str
) -> None:
    first, source = write_cascade(tmp_path / "x")
    harm(first)
    with pytest.raises(ConfigError, match=told) as caught:
        import_nnunet(source, Options(name="made", models=models, folds=folds), lambda _: None)
    assert "\n" not in str(caught.value)
    assert not list(models.iterdir())


def test_a_region_that_is_written_as_another_cannot_feed_the_next_stage(tmp_path: Path, models: Path) -> None:
    labels = {"background": 0, "liver": [1, 2], "spleen": 2}
    _, source = write_cascade(tmp_path / "x", dataset=dataset(labels=labels, regions_class_order=[1, 1]))
    with pytest.raises(ConfigError, match="needed each once"):
        import_nnunet(source, Options(name="made", models=models), lambda _: None)
