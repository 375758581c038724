"""Run by an interpreter that has nnunetv2: trains tiny networks for seconds and predicts with them.

The one argument is a JSON file: `do` is `train` or `predict`, the rest stands at the functions.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import sys
import time
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

#: Features of the network, few enough for seconds.
FEATURES = [8, 16, 32]


def train(task: dict[str, Any]) -> None:
    """Plan, preprocess and train `configurations` of the data set `dataset` below `folder`, each in every fold.

    `changes` says what to change in the plan of each; `iterations` how long to train. With `lowres`, a spacing, the
    two stages of a cascade are trained instead, the second of which takes the reference for labels of the first.
    """
    # Processes for cases of a second take longer to start than everything else does.
    multiprocessing.get_context = lambda method=None: SimpleNamespace(Pool=ThreadPool)  # type: ignore[assignment]
    import torch

    api: Any = importlib.import_module("nnunetv2.experiment_planning.plan_and_preprocess_api")
    trainers: Any = importlib.import_module("nnunetv2.training.nnUNetTrainer.nnUNetTrainer")

    number, configurations = task["number"], task["configurations"]
    os.environ["nnUNet_n_proc_DA"] = "1"  # noqa: SIM112
    api.extract_fingerprints([number], num_processes=1, check_dataset_integrity=False)
    api.plan_experiments([number])
    prepared = Path(os.environ["nnUNet_preprocessed"]) / task["dataset"]  # noqa: SIM112
    path = prepared / "nnUNetPlans.json"
    plans = json.loads(path.read_text())
    for name in configurations:
        table = plans["configurations"][name]
        dimensions = len(table["patch_size"])
        kernel = [[3] * dimensions] * len(FEATURES)
        table["patch_size"] = task["patch"][-dimensions:]
        table["batch_size"] = 2
        own = table["architecture"]["arch_kwargs"]
        own |= {
            "n_stages": len(FEATURES),
            "features_per_stage": FEATURES,
            "kernel_sizes": kernel,
            "strides": [[stage[axis] for axis in range(-dimensions, 0)] for stage in task["strides"]],
            "n_conv_per_stage_decoder": [1] * (len(FEATURES) - 1),
        }
        own["n_conv_per_stage"] = [2] * len(FEATURES)
        if task.get("residual"):
            own["n_blocks_per_stage"] = own.pop("n_conv_per_stage")
            table["architecture"]["network_class_name"] = (
                "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
            )
        table.update(task.get("changes", {}))
    if "lowres" in task:
        add_cascade(plans["configurations"], task["lowres"])
        configurations = ["3d_fullres", "3d_lowres"]
    path.write_text(json.dumps(plans))
    api.preprocess([number], configurations=configurations, num_processes=[1] * len(configurations))
    if "lowres" in task:
        configurations = ["3d_lowres", "3d_cascade_fullres"]
        hand_on(prepared, Path(os.environ["nnUNet_results"]) / task["dataset"])  # noqa: SIM112
    dataset = json.loads((prepared / "dataset.json").read_text())
    torch.set_num_threads(task.get("threads", 1))
    os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112
    for name in configurations:
        for fold in task["folds"]:
            torch.manual_seed(fold)
            given = {**plans, "continue_training": False}
            trainer = trainers.nnUNetTrainer(given, name, fold, dataset, device=torch.device("cpu"))
            trainer.num_epochs, trainer.num_iterations_per_epoch = 1, task["iterations"]
            trainer.num_val_iterations_per_epoch = 1
            trainer.enable_deep_supervision = True
            trainer.run_training()


def add_cascade(configurations: dict[str, Any], spacing: list[float]) -> None:
    """The two stages of a cascade as nnU-Net's planner writes them for larger images than phantoms are."""
    low = {"spacing": spacing, "data_identifier": "nnUNetPlans_3d_lowres", "next_stage": "3d_cascade_fullres"}
    configurations["3d_lowres"] = {**configurations["3d_fullres"], **low}
    configurations["3d_cascade_fullres"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}


def hand_on(prepared: Path, results: Path) -> None:
    """Put the reference where a first stage leaves its labels for the second."""
    first = results / "nnUNetTrainer__nnUNetPlans__3d_lowres" / "predicted_next_stage" / "3d_cascade_fullres"
    first.mkdir(parents=True)
    blosc2: Any = importlib.import_module("blosc2")
    for labels in sorted((prepared / "nnUNetPlans_3d_fullres").glob("*_seg.b2nd")):
        # With an axis of channels, and -1 for what is 0 in the image: a first stage's labels have neither.
        array = blosc2.open(urlpath=str(labels), mode="r")[0].clip(0).astype("uint8")
        blosc2.asarray(array, urlpath=str(first / labels.name.replace("_seg", "")))


def predict(task: dict[str, Any]) -> None:
    """Predict `images` (one list of files for every case) with the model in `model` to `out`; prints the seconds.

    `previous` is the folder with the labels of the stage before.
    """
    import torch

    prediction: Any = importlib.import_module("nnunetv2.inference.predict_from_raw_data")

    torch.set_num_threads(task.get("threads", 1))
    predictor = prediction.nnUNetPredictor(
        tile_step_size=0.5,
        use_gaussian=True,
        use_mirroring=True,
        perform_everything_on_device=False,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )
    predictor.initialize_from_trained_model_folder(task["model"], tuple(task["folds"]), "checkpoint_final.pth")
    began = time.perf_counter()
    predictor.predict_from_files_sequential(
        task["images"], task["out"], overwrite=True, folder_with_segs_from_prev_stage=task.get("previous")
    )
    whole = time.perf_counter() - began
    Path(task["seconds"]).write_text(json.dumps({"whole": whole}))


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    {"train": train, "predict": predict}[asked["do"]](asked)
