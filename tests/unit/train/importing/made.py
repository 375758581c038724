"""A result folder as nnU-Net v2 leaves it, with weights of chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESAMPLING = "resample_data_or_seg_to_shape"


def plans(dimensions: int = 3, **changes: Any) -> dict[str, Any]:
    """plans.json of one configuration, `3d_fullres` or `2d`."""
    spacing, patch = [4.0, 2.0, 2.0][-dimensions:], [8, 16, 16][-dimensions:]
    table = {
        "patch_size": patch,
        "spacing": spacing,
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": RESAMPLING,
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
        "resampling_fn_probabilities": RESAMPLING,
        "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": architecture(dimensions),
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        **changes,
    }
    return {
        "dataset_name": "Dataset900_Made",
        "transpose_forward": [0, 1, 2],
        "image_reader_writer": "SimpleITKIO",
        "configurations": {"3d_fullres" if dimensions == 3 else "2d": table},
        "foreground_intensity_properties_per_channel": {
            "0": {"mean": 20.0, "std": 250.0, "percentile_00_5": -900.0, "percentile_99_5": 800.0}
        },
    }


def cascade_plans(**changes: Any) -> dict[str, Any]:
    """plans.json of a cascade of two stages, as nnU-Net's planner writes it; `changes` are of the second."""
    made = plans(
        resampling_fn_seg=RESAMPLING,
        resampling_fn_seg_kwargs={"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
    )
    every = made["configurations"]
    low = {"spacing": [4.0, 3.0, 3.0], "patch_size": [4, 16, 16], "next_stage": "3d_cascade_fullres"}
    every["3d_lowres"] = {**every["3d_fullres"], **low}
    every["3d_cascade_fullres"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres", **changes}
    return made


def architecture(dimensions: int) -> dict[str, Any]:
    """Arguments of a small PlainConvUNet."""
    return {
        "n_stages": 2,
        "features_per_stage": [4, 8],
        "conv_op": f"torch.nn.modules.conv.Conv{dimensions}d",
        "kernel_sizes": [[3] * dimensions] * 2,
        "strides": [[1] * dimensions, [2] * dimensions],
        "n_conv_per_stage": [1, 1],
        "n_conv_per_stage_decoder": [1],
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimensions}d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }


def dataset(**changes: Any) -> dict[str, Any]:
    """dataset.json of one CT channel and two labels."""
    labels = {"background": 0, "liver": 1, "spleen": 2}
    return {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 5, "file_ending": ".nii.gz", **changes}


def write_cascade(below: Path, folds: int = 1, **changes: Any) -> tuple[Path, Path]:
    """The result folders of both stages of a cascade."""
    own = {"plans": cascade_plans(), **changes}
    first, second = (
        write_folder(below, folds=folds, configuration=name, **own) for name in ("3d_lowres", "3d_cascade_fullres")
    )
    return first, second


def write_folder(below: Path, dimensions: int = 3, folds: int = 1, configuration: str = "", **changes: Any) -> Path:
    """A result folder with checkpoints as nnU-Net's trainer writes them: names twice, scalars of numpy."""
    import numpy as np
    import torch

    from dicomnode.train.importing.nnunet_labels import labels_of
    from dicomnode.train.importing.nnunet_network import build
    from dicomnode.train.importing.nnunet_plans import plan_of

    configuration = configuration or ("3d_fullres" if dimensions == 3 else "2d")
    folder = below / f"nnUNetTrainer__nnUNetPlans__{configuration}"
    own = {"plans": plans(dimensions), "dataset": dataset(), **changes}
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(own["plans"]))
    (folder / "dataset.json").write_text(json.dumps(own["dataset"]))
    plan, labels = plan_of(own["plans"], configuration), labels_of(own["dataset"])
    channels = len(plan.schemes) + (len(labels.seen) if plan.previous else 0)
    for fold in range(folds):
        torch.manual_seed(fold)
        network = build(*plan.architecture, channels, labels.heads)
        weights = network.state_dict()
        twice = {f"decoder.encoder.{name[8:]}": value for name, value in weights.items() if name.startswith("encoder.")}
        again = {name.replace(".conv.", ".all_modules.0."): value for name, value in weights.items()}
        (folder / f"fold_{fold}").mkdir()
        torch.save(
            {
                "network_weights": {**again, **weights, **twice},
                "optimizer_state": {"state": {}, "param_groups": [{"lr": np.float64(0.01)}]},
                "grad_scaler_state": None,
                "logging": {"mean_fg_dice": [np.float64(0.5), np.float32(0.25)], "dice": [[np.float64(0.1)]]},
                "_best_ema": np.float64(0.5),
                "current_epoch": 1000,
                "init_args": {"configuration": configuration, "fold": fold, "plans": own["plans"]},
                "trainer_name": "nnUNetTrainer",
                "inference_allowed_mirroring_axes": tuple(range(dimensions)),
            },
            folder / f"fold_{fold}" / "checkpoint_final.pth",
        )
    return folder
