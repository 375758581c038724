"""Transforms of MONAI become steps with the same meaning, and what has no counterpart is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dicomnode.domain.errors import ConfigError
from dicomnode.train.importing import monai_post as post
from dicomnode.train.importing.monai_config import Config, find
from dicomnode.train.importing.monai_steps import prepare_steps
from dicomnode.train.importing.monai_transform import transforms

LOAD = {"_target_": "LoadImaged", "keys": "image"}
TILES = {"_target_": "SlidingWindowInferer", "roi_size": [96, 96, 64]}


def steps(*chain: dict[str, Any], inputs: tuple[str, ...] = ("ct",), **more: Any) -> list[dict[str, Any]]:
    config = Config({"pre": {"_target_": "Compose", "transforms": [LOAD, *chain]}, **more}, "inference.json")
    return prepare_steps(transforms(config, "pre"), inputs)


def one(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": name, "keys": "image", **arguments}


def ending(*chain: dict[str, Any], labels: int = 2) -> post.Ending:
    return post.ending_of(transforms(Config({"post": list(chain)}, "inference.json"), "post"), labels)


def test_the_usual_chain_of_a_ct_model_is_said_in_steps() -> None:
    found = steps(
        one("EnsureChannelFirstd"),
        one("Orientationd", axcodes="RAS"),
        one("Spacingd", pixdim=[1.5, 1.5, 2.0], mode="bilinear"),
        one("ScaleIntensityRanged", a_min=-57, a_max=164, b_min=0.0, b_max=1.0, clip=True),
        one("CropForegroundd", source_key="image"),
        one("EnsureTyped", device="$torch.device('cuda')"),
    )
    assert found == [
        {"step": "reorient", "orientation": "RAS"},
        {"step": "restep", "spacing_mm": [1.5, 1.5, 2.0], "interpolation": "linear"},
        {"step": "scale", "range": [-57.0, 164.0], "to": [0.0, 1.0]},
        {"step": "clip", "range": [0.0, 1.0]},
        {"step": "positive"},
        {"step": "crop_to_mask", "around": "positive"},
    ]


@pytest.mark.parametrize(
    ("transform", "step"),
    [
        (one("NormalizeIntensityd", nonzero=True), {"step": "zscore", "over": "foreground", "outside": 0.0}),
        (
            one("NormalizeIntensityd", subtrahend=[100.0], divisor=50),
            {"step": "zscore", "mean": 100.0, "deviation": 50.0},
        ),
        (one("ScaleIntensityd"), {"step": "minmax", "to": [0.0, 1.0]}),
        (
            one("ScaleIntensityd", minv=None, maxv=None, factor=0.5),
            {"step": "scale", "range": [0.0, 1.0], "to": [0.0, 1.5]},
        ),
        (
            one("ScaleIntensityRangePercentilesd", lower=1, upper=99, b_min=0, b_max=100, relative=True),
            {"step": "minmax", "percentiles": [1.0, 99.0], "to": [1.0, 99.0]},
        ),
        (
            one("ClipIntensityPercentilesd", lower=None, upper=99.5),
            {"step": "clip_percentiles", "percentiles": [0.0, 99.5]},
        ),
    ],
    ids=lambda value: value.get("_target_", "") if isinstance(value, dict) else "",
)
def test_a_transform_becomes_a_step(transform: dict[str, Any], step: dict[str, Any]) -> None:
    # Without Orientation the axes stay in MONAI's order: column, row, slice.
    assert steps(transform) == [{"step": "transpose", "axes": [2, 1, 0]}, step]


def test_several_channels_are_several_series_on_one_grid() -> None:
    found = steps(one("NormalizeIntensityd", channel_wise=True), inputs=("t1", "flair"))
    assert found[0] == {"step": "align", "inputs": ["flair"]}
    with pytest.raises(ConfigError, match="2 channels together"):
        steps(one("NormalizeIntensityd"), inputs=("t1", "flair"))


def test_references_are_followed_and_transforms_of_other_keys_and_disabled_ones_left_out() -> None:
    found = steps(
        one("Spacingd", pixdim="@spacing"),
        {"_target_": "Lambdad", "keys": "image", "func": "$lambda x: x", "_disabled_": True},
        {"_target_": "RandFlipd", "keys": "label"},
        spacing="@sizes::1",
        sizes=[1, [2.0, 3.0, 4.0]],
    )
    assert found[-1]["spacing_mm"] == [2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("transform", "told"),
    [
        (one("Lambdad", func="$lambda x: x + 1"), "Lambdad.*is a function"),
        (one("evil.transforms.Spoild"), "evil.transforms.Spoild.*not MONAI's own"),
        (one("os.system", command="true"), "os.system.*not MONAI's own"),
        (one("monai.transformsevil.Spacingd"), "not MONAI's own"),
        (one("Rotate90d"), "Rotate90.*no counterpart"),
        (one("Spacingd", pixdim="$[1.0] * 3"), r"pixdim.*\$\[1.0\].*expression"),
        (one("Spacingd", pixdim=[1, 1, 1], mode=3), "mode: 3"),
        (one("Spacingd", pixdim=[1, 1, 1], padding_mode="zeros"), "padding_mode: zeros"),
        (one("Spacingd", pixdim=[1, 1, 1], novelty=True), "novelty"),
        (one("Spacingd", pixdim="@nowhere"), "@nowhere.*does not stand in this file"),
        (one("Spacingd", pixdim="%other.json::x"), "takes in another file"),
        (one("ScaleIntensityRanged", a_min=1, a_max=1), "a_min: 1, a_max: 1"),
        (one("NormalizeIntensityd", subtrahend={"_target_": "os.getcwd"}), "would have to be made"),
        (one("CropForegroundd", select_fn="$lambda x: x > 1"), "select_fn.*expression"),
        (one("CropForegroundd", margin=[5, 5, 5]), "margin"),
        (one("Orientationd", axcodes="RAX"), "axcodes: RAX"),
        ("$monai.transforms.Spacing(1)", "expression in Python"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_by_name(transform: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        steps(transform)


def test_references_that_lead_in_a_circle_are_refused() -> None:
    with pytest.raises(ConfigError, match="circle"):
        steps(one("Spacingd", pixdim="@a"), a="@b", b="@a")


def test_what_happens_before_the_way_back_decides_what_is_interpolated() -> None:
    softmax, argmax = one("Activationsd", softmax=True), one("AsDiscreted", argmax=True)
    back = {"_target_": "Invertd", "keys": "pred", "transform": "@pre", "nearest_interp": False}
    assert post.output_table(ending(softmax, back, argmax)) == {
        "activation": "softmax", "blend": "logits", "back": "probabilities",
    }  # fmt: skip
    assert post.output_table(ending(back, softmax, argmax)) == {"activation": "softmax", "blend": "logits"}
    assert ending(softmax, back, argmax).remarks == []
    assert "nearest voxel" in ending(softmax, argmax, back).remarks[0]
    assert post.output_table(ending(one("AsDiscreted", threshold=0.4))) == {"activation": "none"}


def test_a_threshold_and_the_largest_pieces_become_steps() -> None:
    made = ending(
        one("Activationsd", sigmoid=True),
        one("AsDiscreted", threshold=0.4),
        one("KeepLargestConnectedComponentd", applied_labels=2, connectivity=1),
        one("KeepLargestConnectedComponentd", num_components=2),
    )
    assert post.post_steps(made, 2) == [
        {"step": "threshold", "threshold": [0.4, 0.4]},
        {"step": "keep_largest", "segments": [2], "pieces": 1, "touching": "faces"},
        {"step": "keep_largest", "segments": [], "pieces": 2, "touching": "corners"},
    ]


@pytest.mark.parametrize(
    ("transform", "told"),
    [
        (one("Lambdad", func="$print"), "is a function"),
        (one("FillHolesd"), "FillHoles.*no counterpart"),
        (one("Activationsd", other="$torch.tanh"), "expression"),
        (one("AsDiscreted"), "one of both"),
        (one("AsDiscreted", threshold=2), "threshold: 2"),
        (one("KeepLargestConnectedComponentd", applied_labels=[3]), "some of 1 to 2"),
        (one("KeepLargestConnectedComponentd", independent=False), "independent: false"),
        (one("Invertd", post_func="$print"), "expression"),
    ],
)
def test_what_cannot_be_done_after_the_network_is_refused_by_name(transform: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ending(transform)


def test_the_sliding_window_becomes_tiles() -> None:
    found = post.tiles_of(Config({"inferer": {**TILES, "overlap": 0.5, "mode": "gaussian", "device": "$x"}}, "i.json"))
    assert found.table == {
        "shape": [96, 96, 64], "overlap": 0.5, "batch": "auto", "manner": "monai", "weights": "gaussian",
    }  # fmt: skip
    flat = {"_target_": "SliceInferer", "roi_size": [96, 64], "spatial_dim": 2}
    found = post.tiles_of(Config({"inferer": flat}, "i.json"))
    assert (found.table["shape"], found.table["weights"], found.sliced) == ([1, 96, 64], "even", 2)


@pytest.mark.parametrize(
    ("inferer", "told"),
    [
        ({"_target_": "SimpleInferer"}, "SimpleInferer"),
        ({"_target_": "evil.Inferer"}, "evil.Inferer.*not MONAI's own"),
        ("$make()", "expression"),
        (None, "missing"),
        ({**TILES, "roi_size": [96, -1, 96]}, "roi_size"),
        ({**TILES, "overlap": [0.5, 0.25, 0.5]}, "overlap"),
        ({**TILES, "sigma_scale": 0.5}, "sigma_scale"),
        ({**TILES, "padding_mode": "reflect"}, "padding_mode"),
    ],
)
def test_other_ways_to_cut_tiles_are_refused_by_name(inferer: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        post.tiles_of(Config({"inferer": inferer}, "i.json"))


def test_a_folder_that_is_no_bundle_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        find(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"no configs/inference.json or"):
        find(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "inference.json").write_text("{")
    with pytest.raises(ConfigError, match=r"no configs/metadata.json"):
        find(tmp_path)
    (tmp_path / "configs" / "metadata.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"no models/model.pt and no models/model.ts"):
        find(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.ts").touch()
    with pytest.raises(ConfigError, match="not JSON"):
        find(tmp_path)
    (tmp_path / "configs" / "inference.json").write_text(json.dumps({"a": 1}))
    assert find(tmp_path).weights is None
