"""An nnU-Net result folder becomes a bundle that answers as its network does, or nothing stays of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicomnode.domain.errors import ConfigError, ModelError
from dicomnode.domain.model import Task
from dicomnode.infer.bundle.load import find_bundles, load_bundle
from dicomnode.infer.network.session import Sessions
from tests.unit.train.importing.made import architecture, dataset, plans, write_folder

torch = pytest.importorskip("torch", reason="importing needs the extra `train`")
onnx = pytest.importorskip("onnx", reason="importing needs the extra `train`")

from dicomnode.train.importing.compare import phantom, run_through  # noqa: E402
from dicomnode.train.importing.nnunet import Options, import_nnunet  # noqa: E402
from dicomnode.train.importing.nnunet_weights import read_checkpoint  # noqa: E402


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def options(models: Path, **changes: Any) -> Options:
    return Options(name="made", models=models, **changes)


def nothing_left(models: Path) -> bool:
    return not list(models.iterdir())


@pytest.mark.parametrize(("dimensions", "folds"), [(3, 2), (2, 1)])
def test_a_folder_becomes_a_bundle_that_was_held_against_its_source(
    tmp_path: Path, models: Path, dimensions: int, folds: int
) -> None:
    said: list[str] = []
    source = write_folder(tmp_path / "Dataset900_Made", dimensions, folds)
    bundle = import_nnunet(source, options(models, licence="CC-BY-4.0"), said.append)
    assert bundle == models / "made"
    found, broken = find_bundles(models)
    assert (list(found), broken) == (["made"], {})
    spec = found["made"]
    assert spec.task is Task.SEGMENT
    assert [segment.type.meaning for segment in spec.segments] == ["Liver", "Spleen"]
    assert len(spec.weights) == folds
    assert spec.network.blend == "logits"
    assert len([line for line in said if "largest difference" in line]) == folds
    assert "ran on a phantom" in said[-2]
    card = (bundle / "CARD.md").read_text()
    for heading in ("Intended use", "Data", "Model", "Training", "Performance", "Limits", "Licence"):
        assert f"## {heading}" in card
    assert "MISSING" in card and "CC-BY-4.0" in card and "not for clinical use" in card and "largest difference" in card


def test_a_bundle_for_processors_answers_as_its_source_and_says_so(tmp_path: Path, models: Path) -> None:
    source = write_folder(tmp_path / "Dataset900_Made")
    import_nnunet(source, Options(name="plain", models=models), lambda _: None)
    said: list[str] = []
    bundle = import_nnunet(source, options(models, processor=True), said.append)
    assert len([line for line in said if "largest difference" in line]) == 1
    kinds = {
        name: {len(weights.dims) for weights in onnx.load(str(models / name / "model.onnx")).graph.initializer}
        for name in ("plain", "made")
    }
    assert 4 not in kinds["plain"] and 4 in kinds["made"], "axes of the weights of convolutions over pictures"
    assert "without a graphics card" in (bundle / "CARD.md").read_text()
    assert "without a graphics card" not in (models / "plain" / "CARD.md").read_text()


def test_the_folder_of_the_data_set_is_enough_where_one_configuration_was_trained(tmp_path: Path, models: Path) -> None:
    write_folder(tmp_path / "Dataset900_Made")
    import_nnunet(tmp_path / "Dataset900_Made", options(models), lambda _: None)
    write_folder(tmp_path / "Dataset900_Made", 2)
    with pytest.raises(ConfigError, match=r"2d, 3d_fullres|3d_fullres, 2d"):
        import_nnunet(tmp_path / "Dataset900_Made", Options(name="other", models=models), lambda _: None)
    chosen = Options(name="other", models=models, configuration="2d", mirror=False)
    import_nnunet(tmp_path / "Dataset900_Made", chosen, lambda _: None)
    assert load_bundle(models / "other").tile.mirror == ()


def test_regions_of_two_channels_run_through(tmp_path: Path, models: Path) -> None:
    made = plans(normalization_schemes=["ZScoreNormalization"] * 2, use_mask_for_norm=[True, True])
    labels = {"background": 0, "liver": [1, 2], "spleen": 2}
    two = dataset(channel_names={"0": "T1", "1": "T2"}, labels=labels, regions_class_order=[1, 2])
    source = write_folder(tmp_path / "x", plans=made, dataset=two)
    with pytest.raises(ConfigError, match="liver_without_spleen"):
        import_nnunet(source, options(models), lambda _: None)
    assert nothing_left(models)
    codes = tmp_path / "codes.tsv"
    codes.write_text("label\tscheme\tvalue\tmeaning\nliver without spleen\t99HERE\tL1\tLiver without spleen\n")
    import_nnunet(source, options(models, codes=codes), lambda _: None)
    spec = load_bundle(models / "made")
    # The second region takes its voxels from the first, which must not bear the code of the whole.
    assert [(one.label, one.type.value) for one in spec.segments] == [
        ("liver without spleen", "L1"),
        ("spleen", "78961009"),
    ]
    assert [one.name for one in spec.inputs] == ["t1", "t2"]
    assert spec.activation == "sigmoid"
    volume = phantom((12, 40, 40), (4.0, 8.0, 8.0), hounsfield=False)
    # Weights of chance give some answer; that there is one shows that the way back is whole.
    assert {*run_through(spec, Sessions(device="cpu"), volume)} <= {"liver without spleen", "spleen"}


def test_residual_encoders_are_built(tmp_path: Path, models: Path) -> None:
    made = plans()
    own = made["configurations"]["3d_fullres"]["architecture"]
    own["network_class_name"] = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
    own["arch_kwargs"] = {**architecture(3), "n_blocks_per_stage": [1, 2]}
    del own["arch_kwargs"]["n_conv_per_stage"]
    import_nnunet(write_folder(tmp_path / "x", plans=made), options(models), lambda _: None)


LARGEST = "remove_all_but_largest_component_from_segmentation"


def write_clean_up(source: Path, *labels: object, name: str = LARGEST, folds: str = "0") -> None:
    """postprocessing.json as `determine_postprocessing` of nnU-Net writes it."""
    path = source / f"crossval_results_folds_{folds}" / "postprocessing.json"
    path.parent.mkdir(exist_ok=True)
    kwargs = [{"labels_or_regions": one} for one in labels]
    path.write_text(json.dumps({"postprocessing_fns": [name] * len(labels), "postprocessing_kwargs": kwargs}))


def test_what_nnunet_measured_of_itself_stands_in_the_card_as_its_own(tmp_path: Path, models: Path) -> None:
    source = write_folder(tmp_path / "x", folds=2)
    import_nnunet(source, options(models), lambda _: None)
    assert "MISSING: no figure" in (models / "made" / "CARD.md").read_text()
    for fold, spleen in ((0, "0.625"), (1, "NaN")):
        (source / f"fold_{fold}" / "validation").mkdir()
        (source / f"fold_{fold}" / "validation" / "summary.json").write_text(
            f'{{"mean": {{"2": {{"Dice": {spleen}}}, "1": {{"Dice": 0.9}}}}, "metric_per_case": [{{}}, {{}}, {{}}]}}'
        )
    import_nnunet(source, Options(name="told", models=models), lambda _: None)
    card = (models / "told" / "CARD.md").read_text()
    performance = card[card.index("## Performance") : card.index("## Limits")]
    assert "that nnU-Net itself measured" in performance and "MISSING" not in performance
    assert "- fold 0: liver 0.900, spleen 0.625; 3 cases\n" in performance
    assert "- fold 1: liver 0.900, spleen undefined; 3 cases\n" in performance


def test_the_clean_up_that_nnunet_found_worth_while_becomes_steps(tmp_path: Path, models: Path) -> None:
    source = write_folder(tmp_path / "x")
    write_clean_up(source, [1, 2], 2)
    write_clean_up(source, 1, folds="0_1")
    import_nnunet(source, options(models), lambda _: None)
    steps = load_bundle(models / "made").post
    assert [(one.name, one.options["segments"], one.options["together"]) for one in steps] == [
        ("keep_largest", (1, 2), True),
        ("keep_largest", (2,), False),
    ]
    assert {one.options["touching"] for one in steps} == {"corners"}
    assert "not taken over: crossval_results_folds_0_1." in (models / "made" / "CARD.md").read_text()


@pytest.mark.parametrize(("labels", "name"), [((1,), "mine.clean"), ((3,), LARGEST), (((1, 2, 5),), LARGEST)])
def test_a_clean_up_that_no_step_does_is_refused_by_name(
    tmp_path: Path, models: Path, labels: tuple[object, ...], name: str
) -> None:
    source = write_folder(tmp_path / "x")
    write_clean_up(source, *labels, name=name)
    with pytest.raises(ConfigError, match=r"move crossval_results_folds_0/postprocessing.json away") as caught:
        import_nnunet(source, options(models), lambda _: None)
    assert "\n" not in str(caught.value) and nothing_left(models)


def test_images_lie_as_the_reader_of_the_training_had_them_or_as_stated(tmp_path: Path, models: Path) -> None:
    made = {**plans(), "image_reader_writer": "NibabelIOWithReorient"}
    source = write_folder(tmp_path / "x", plans=made)
    import_nnunet(source, options(models), lambda _: None)
    assert load_bundle(models / "made").prepare[0].options["orientation"] == "HAR"
    import_nnunet(source, Options(name="b", models=models, orientation="source"), lambda _: None)
    assert load_bundle(models / "b").prepare[0].name == "nonzero"
    import_nnunet(source, Options(name="c", models=models, orientation="axial"), lambda _: None)
    assert load_bundle(models / "c").prepare[0].options["orientation"] == "axial"


class Evil:
    """Would leave a trace if it were unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.trace),)


def test_a_checkpoint_that_would_have_to_be_run_is_refused_by_name_and_not_run(tmp_path: Path, models: Path) -> None:
    source = write_folder(tmp_path / "x")
    checkpoint = source / "fold_0" / "checkpoint_final.pth"
    held = torch.load(checkpoint, weights_only=False)
    torch.save({**held, "extra": Evil(tmp_path / "trace")}, checkpoint)
    with pytest.raises(ConfigError, match=r"posix.mkdir, which would be run"):
        import_nnunet(source, options(models), lambda _: None)
    assert not (tmp_path / "trace").exists()
    assert nothing_left(models)


def damage_plans(folder: Path) -> None:
    (folder / "plans.json").write_text("{")


def drop_dataset(folder: Path) -> None:
    (folder / "dataset.json").unlink()


def cut_checkpoint(folder: Path) -> None:
    path = folder / "fold_0" / "checkpoint_final.pth"
    path.write_bytes(path.read_bytes()[:1000])


def foreign_checkpoint(folder: Path) -> None:
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(b"not a checkpoint at all")


def empty_checkpoint(folder: Path) -> None:
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(b"")


def no_final(folder: Path) -> None:
    (folder / "fold_0" / "checkpoint_final.pth").rename(folder / "fold_0" / "checkpoint_best.pth")


def other_weights(folder: Path) -> None:
    path = folder / "fold_0" / "checkpoint_final.pth"
    held = torch.load(path, weights_only=False)
    held["network_weights"].pop("decoder.seg_layers.0.bias")
    torch.save(held, path)


def not_finite(folder: Path) -> None:
    path = folder / "fold_0" / "checkpoint_final.pth"
    held = torch.load(path, weights_only=False)
    held["network_weights"]["decoder.seg_layers.0.bias"][0] = float("nan")
    torch.save(held, path)


def wrong_shape(folder: Path) -> None:
    labels = {"background": 0, "liver": 1, "spleen": 2, "pancreas": 3}
    (folder / "dataset.json").write_text(json.dumps(dataset(labels=labels)))


def uncoded(folder: Path) -> None:
    (folder / "dataset.json").write_text(json.dumps(dataset(labels={"background": 0, "gizmo": 1, "liver": 2})))


def a_list(folder: Path) -> None:
    (folder / "dataset.json").write_text("[]")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (damage_plans, "not JSON"),
        (drop_dataset, "cannot be read"),
        (cut_checkpoint, r"damaged|truncated"),
        (foreign_checkpoint, r"no checkpoint of PyTorch|truncated"),
        (empty_checkpoint, r"truncated|damaged"),
        (no_final, "checkpoint_best.pth: name one with --checkpoint"),
        (other_weights, "lacks decoder.seg_layers.0.bias"),
        (not_finite, "not finite"),
        (wrong_shape, "not of one training"),
        (uncoded, "gizmo"),
        (a_list, "JSON object"),
    ],
)
def test_bad_input_is_one_line_with_the_remedy_and_nothing_stays(
    tmp_path: Path, models: Path, harm: Callable[[Path], None], told: str
) -> None:
    source = write_folder(tmp_path / "x")
    harm(source)
    with pytest.raises(ConfigError, match=told) as caught:
        import_nnunet(source, options(models), lambda _: None)
    assert "\n" not in str(caught.value)
    assert nothing_left(models)


def test_a_bundle_that_answers_otherwise_is_not_kept(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "dicomnode.train.importing.nnunet._answering",
        lambda network, dimensions: lambda tiles: np.zeros((1, 3, 8, 16, 16), dtype=np.float32),
    )
    with pytest.raises(ModelError, match="largest difference"):
        import_nnunet(write_folder(tmp_path / "x"), options(models), lambda _: None)
    assert nothing_left(models)


def test_options_that_do_not_fit_are_refused(tmp_path: Path, models: Path) -> None:
    source = write_folder(tmp_path / "x")
    for changes, told in (
        ({"folds": ["3"]}, "no such fold"),
        ({"configuration": "2d"}, "trained for 3d_fullres"),
        ({"modalities": ["CT", "PT"]}, "needed one for each"),
        ({"orientation": "upwards"}, "write axial"),
    ):
        with pytest.raises(ConfigError, match=told):
            import_nnunet(source, options(models, **changes), lambda _: None)
    with pytest.raises(ConfigError, match="no such folder"):
        import_nnunet(tmp_path / "none", options(models), lambda _: None)
    with pytest.raises(ConfigError, match=r"no plans\.json"):
        import_nnunet(tmp_path, options(models), lambda _: None)
    with pytest.raises(ConfigError, match="pattern"):
        import_nnunet(source, Options(name="Bad Name", models=models), lambda _: None)
    assert nothing_left(models)


def test_names_of_wrappers_and_names_that_stand_twice_are_put_right(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "x") / "fold_0" / "checkpoint_final.pth"
    before = read_checkpoint(path)
    held = torch.load(path, weights_only=False)
    held["network_weights"] = {f"_orig_mod.{name}": value for name, value in held["network_weights"].items()}
    torch.save(held, path)
    after = read_checkpoint(path)
    assert {*after.weights} == {*before.weights}
    assert not any("all_modules" in name or "decoder.encoder" in name for name in after.weights)
    assert (after.mirror, after.epoch, after.trainer) == ((0, 1, 2), 1000, "nnUNetTrainer")
