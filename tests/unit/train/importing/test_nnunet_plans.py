"""What a plan of nnU-Net asks for becomes steps of a bundle, or is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from dicomnode.domain.errors import ConfigError
from dicomnode.train.importing.codes import codes_of
from dicomnode.train.importing.nnunet_bundle import (
    input_names,
    modality_of,
    output_table,
    post_steps,
    prepare_steps,
    segment_tables,
    tile_table,
)
from dicomnode.train.importing.nnunet_labels import channels_of, labels_of
from dicomnode.train.importing.nnunet_plans import plan_of
from tests.unit.train.importing.made import architecture, cascade_plans, dataset, plans


def test_a_ct_is_cropped_limited_normalised_and_then_resampled() -> None:
    plan = plan_of(plans(), "3d_fullres")
    assert prepare_steps(plan, ["ct"], "HAR") == [
        {"step": "reorient", "orientation": "HAR"},
        {"step": "nonzero"},
        {"step": "crop_to_mask", "around": "nonzero"},
        {"step": "clip", "range": [-900.0, 800.0]},
        {"step": "zscore", "mean": 20.0, "deviation": 250.0},
        {
            "step": "respace", "spacing_mm": [4.0, 2.0, 2.0], "interpolation": "bspline",
            "apart_above": 3.0, "apart": "nearest",
        },
    ]  # fmt: skip
    assert tile_table(plan, (0, 1, 2)) == {
        "shape": [8, 16, 16], "overlap": 0.5, "batch": "auto", "manner": "nnunet", "mirror": [0, 1, 2],
    }  # fmt: skip


def test_two_dimensions_keep_the_slices_and_mirror_rows_and_columns() -> None:
    plan = plan_of(plans(2), "2d")
    assert prepare_steps(plan, ["ct"], "")[-1]["spacing_mm"] == [2.0, 2.0]
    assert tile_table(plan, (0, 1))["shape"] == [1, 16, 16]
    assert tile_table(plan, (0, 1))["mirror"] == [1, 2]
    assert "mirror" not in tile_table(plan, ())
    with pytest.raises(ConfigError, match="axes of a patch"):
        tile_table(plan, (2,))


@pytest.mark.parametrize(
    ("scheme", "masked", "expected"),
    [
        ("ZScoreNormalization", True, [{"step": "zscore", "over": "nonzero", "outside": 0.0}]),
        ("ZScoreNormalization", False, [{"step": "zscore"}]),
        ("RescaleTo01Normalization", False, [{"step": "minmax"}]),
        ("RGBTo01Normalization", False, [{"step": "scale", "range": [0.0, 255.0]}]),
        ("NoNormalization", False, []),
    ],
)
def test_every_scheme_of_normalisation_has_its_steps(scheme: str, masked: bool, expected: list[Any]) -> None:
    plan = plan_of(plans(normalization_schemes=[scheme], use_mask_for_norm=[masked]), "3d_fullres")
    assert prepare_steps(plan, ["mr"], "")[2:-1] == expected


def test_several_channels_are_aligned_and_normalised_one_by_one() -> None:
    both: dict[str, Any] = {"normalization_schemes": ["ZScoreNormalization"] * 2, "use_mask_for_norm": [True, False]}
    steps = prepare_steps(plan_of(plans(**both), "3d_fullres"), ["t1", "flair"], "")
    assert steps[0] == {"step": "align", "inputs": ["flair"], "outside": 0.0}
    assert [step["inputs"] for step in steps if step["step"] == "zscore"] == [["t1"], ["flair"]]


def test_axes_that_were_transposed_are_transposed() -> None:
    plan = plan_of({**plans(), "transpose_forward": [2, 0, 1]}, "3d_fullres")
    assert {"step": "transpose", "axes": [2, 0, 1]} in prepare_steps(plan, ["ct"], "")


def test_plans_from_before_version_2_4_are_read_as_nnunet_reads_them() -> None:
    made = plans()
    table = made["configurations"]["3d_fullres"]
    del table["architecture"]
    table |= {
        "UNet_class_name": "PlainConvUNet", "UNet_base_num_features": 4, "unet_max_num_features": 6,
        "n_conv_per_stage_encoder": [1, 1], "n_conv_per_stage_decoder": [1], "conv_kernel_sizes": [[3] * 3] * 2,
        "pool_op_kernel_sizes": [[1] * 3, [2] * 3],
    }  # fmt: skip
    name, arguments = plan_of(made, "3d_fullres").architecture
    assert name == "PlainConvUNet"
    assert arguments["features_per_stage"] == [4, 6]
    assert {*arguments} <= {*architecture(3)}


def test_a_configuration_inherits_what_it_does_not_state() -> None:
    made = plans()
    made["configurations"]["big"] = {"inherits_from": "3d_fullres", "patch_size": [16, 16, 16]}
    plan = plan_of(made, "big")
    assert plan.patch == (16, 16, 16)
    assert plan.spacing_mm == (4.0, 2.0, 2.0)
    made["configurations"]["round"] = {"inherits_from": "round"}
    with pytest.raises(ConfigError, match="no such configuration"):
        plan_of(made, "round")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"previous_stage": "3d_lowres"}, "resampling_fn_seg"),
        ({"normalization_schemes": ["MyNormalization"]}, "MyNormalization"),
        ({"resampling_fn_data": "resample_torch_fornnunet"}, "resample_torch_fornnunet"),
        ({"resampling_fn_probabilities_kwargs": {"order": 3}}, "needed order 1"),
        ({"resampling_fn_data_kwargs": {"force_separate_z": True}}, "force_separate_z"),
        ({"patch_size": "large"}, "needed list"),
        ({"patch_size": [1, 2]}, "as many numbers in spacing"),
        ({"use_mask_for_norm": None}, "use_mask_for_norm"),
        ({"architecture": {"network_class_name": "x.Y"}}, "arch_kwargs"),
    ],
)
def test_what_a_bundle_cannot_say_is_refused_by_name(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        plan_of(plans(**changes), "3d_fullres")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("statistics", [{}, {"0": {"mean": 1.0}}, {"0": "x"}, None])
def test_ct_without_statistics_is_refused(statistics: Any) -> None:
    with pytest.raises(ConfigError, match="foreground_intensity"):
        plan_of({**plans(), "foreground_intensity_properties_per_channel": statistics}, "3d_fullres")


def test_the_second_stage_of_a_cascade_counts_what_the_first_has_labelled_before_it_normalises() -> None:
    plan = plan_of(cascade_plans(), "3d_cascade_fullres")
    assert plan.previous == "3d_lowres"
    names = [step["step"] for step in prepare_steps(plan, ["ct"], "")]
    assert names == ["nonzero", "crop_to_mask", "labelled", "clip", "zscore", "respace"]
    assert plan_of(cascade_plans(), "3d_lowres").previous == ""


@pytest.mark.parametrize(
    "kwargs",
    [{"order": 0}, {"order": 1, "order_z": 1}, {"order": 1, "force_separate_z": True}, {"order": 1}],
    ids=["order", "order_z", "forced", "otherwise than the image"],
)
def test_labels_that_are_resampled_otherwise_are_refused(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"resampling_fn_seg_kwargs.*needed order"):
        plan_of(cascade_plans(resampling_fn_seg_kwargs=kwargs), "3d_cascade_fullres")


def test_the_next_stage_sees_every_label_of_the_reference_by_the_segment_that_is_written_as_it() -> None:
    assert labels_of(dataset()).seen == (1, 2)
    regions = {"background": 0, "kidney": [1, 2, 3], "mass": [2, 3], "tumour": 2}
    # Label 2 is the tumour's, which comes last; label 3 the mass's.
    assert labels_of(dataset(labels=regions, regions_class_order=[1, 3, 2])).seen == (1, 3, 2)
    # Nothing is ever written as label 3: nnU-Net has an empty channel for it.
    assert labels_of(dataset(labels={**regions, "mass": 2}, regions_class_order=[1, 4, 2])).seen == (1, 3, 0)


def test_regions_become_thresholds_of_which_the_last_counts() -> None:
    regions = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}
    labels = labels_of(dataset(labels=regions, regions_class_order=[1, 2, 3]))
    assert (labels.names, labels.heads) == (("whole", "core", "enhancing"), 3)
    assert labels.holds == ((1, 2, 3), (2, 3), (3,))
    assert post_steps(labels) == [{"step": "threshold", "threshold": [0.5] * 3, "resolve": "last"}]
    assert output_table(plan_of(plans(), "3d_fullres"), labels)["activation"] == "sigmoid"


@pytest.mark.parametrize(
    ("regions", "parts"),
    [
        (
            {"whole": [1, 2, 3], "core": [2, 3], "enhancing": 3},
            ("whole_without_core", "core_without_enhancing", "enhancing"),
        ),
        ({"liver": [1, 2], "tumor": 2, "spleen": [3, 4]}, ("liver_without_tumor", "tumor", "spleen")),
        ({"body": [1, 2, 3], "a": 1, "b": [2, 3]}, ("body_without_a_and_b", "a", "b")),
    ],
)
def test_a_region_is_called_what_the_mask_leaves_of_it(regions: dict[str, Any], parts: tuple[str, ...]) -> None:
    labels = labels_of(dataset(labels={"background": 0, **regions}, regions_class_order=[1, 2, 3]))
    assert labels.parts == parts


def test_labels_come_in_the_order_of_their_numbers_without_background_and_ignored() -> None:
    labels = labels_of(dataset(labels={"spleen": 2, "background": 0, "liver": [1], "ignore": 3}))
    assert (labels.names, labels.heads) == (("liver", "spleen"), 3)
    tables = segment_tables(labels, codes_of(labels.names, {}))
    assert [(table["number"], table["label"]) for table in tables] == [(1, "liver"), (2, "spleen")]
    assert tables[0]["color_rgb"] != tables[1]["color_rgb"]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"0": "background", "1": "liver"}, "no background"),
        ({"background": 0}, "needed a label"),
        ({"background": 0, "liver": 2}, "needed 1 to 1"),
        ({"background": 0, "liver": "1"}, "whole number"),
        ({"background": 0, "liver": [1, 2]}, "regions_class_order"),
        (None, "labels"),
    ],
)
def test_labels_that_are_not_those_of_version_2_are_refused(labels: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        labels_of(dataset(labels=labels))


def test_channels_get_names_and_the_modality_they_most_likely_have() -> None:
    assert channels_of({"modality": {"1": "PET", "0": "CT"}}) == ("CT", "PET")
    assert input_names(["T1 (Gd)", "t1-gd", "T1 (Gd)", "§"]) == ("t1--gd", "t1-gd", "t1--gd-2", "image")
    found = [modality_of(name, "ZScoreNormalization") for name in ("CT", "SUV", "T2w", "direct")]
    assert found == ["CT", "PT", "MR", "MR"]
    assert modality_of("whatever", "CTNormalization") == "CT"
    with pytest.raises(ConfigError, match="channel_names"):
        channels_of({"channel_names": {"1": "CT"}})
