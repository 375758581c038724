"""Run by an interpreter that has nnunetv2: writes an untrained model in its format, and predicts as often as asked."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

#: Names of its files in a result folder.
CONFIGURATION, FINAL = "3d_fullres", "checkpoint_final.pth"


def write(task: dict[str, Any]) -> None:
    """Write a result folder of the plans and data set in `task` with random weights; speed does not depend on them."""
    import torch

    torch.manual_seed(0)
    folder, plans, dataset = Path(task["model"]), task["plans"], task["dataset"]
    handler: Any = importlib.import_module("nnunetv2.utilities.plans_handling.plans_handler")
    trainers: Any = importlib.import_module("nnunetv2.training.nnUNetTrainer.nnUNetTrainer")
    manager = handler.PlansManager(plans)
    labels = manager.get_label_manager(dataset).num_segmentation_heads
    network = trainers.nnUNetTrainer.build_network_architecture(
        manager, manager.get_configuration(CONFIGURATION), 1, labels, enable_deep_supervision=True
    )
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    checkpoint = {
        "network_weights": network.state_dict(),
        "trainer_name": "nnUNetTrainer",
        "init_args": {"configuration": CONFIGURATION},
        "inference_allowed_mirroring_axes": (0, 1, 2),
        "current_epoch": 1,
    }
    torch.save(checkpoint, folder / "fold_0" / FINAL)


def serve(task: dict[str, Any]) -> None:
    """Predict `image` to `out` for every line that comes in, and answer with the seconds; the model is loaded once."""
    # What nnU-Net prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import torch

    torch.set_num_threads(task["threads"])
    prediction: Any = importlib.import_module("nnunetv2.inference.predict_from_raw_data")
    predictor = prediction.nnUNetPredictor(
        tile_step_size=0.5, use_gaussian=True, use_mirroring=True, perform_everything_on_device=False,
        device=torch.device("cpu"), allow_tqdm=False,
    )  # fmt: skip
    predictor.initialize_from_trained_model_folder(task["model"], (0,), FINAL)
    for _ in sys.stdin:
        began = time.perf_counter()
        predictor.predict_from_files_sequential([[task["image"]]], [task["out"]], overwrite=True)
        print(time.perf_counter() - began, file=answers, flush=True)


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    {"write": write, "serve": serve}[asked["do"]](asked)
