"""Training of lung-lesion-ct on phantoms alone: ``python -m dicomnode.train.lung_lesion_ct --minutes 45 --seed 1``."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from dicomnode.train.describe import Run
from dicomnode.train.describe_lesion import write_card, write_model_toml
from dicomnode.train.evaluate_lesions import case_text, froc_table, on_phantoms, on_study, sensitivity_table
from dicomnode.train.lesion_tiles import CLIP_HU, LESION, SLABS, SPACING_MM, LesionTiles
from dicomnode.train.lesions import SMALLEST_MM
from dicomnode.train.network import LungNetwork, continued, export_onnx
from dicomnode.train.training import Plan, Sample, Training, say

BATCH = 1
LEARNING_RATE, HEADS = 2e-3, 5.0
FROZEN = ("stem.", "down.0.")
"""Layers of the finest levels stay as they begin: they see edges, which lesions share with lungs."""
CHANNELS = LESION + 1
WHOLE_TILE = (16, 192, 192)
"""Tiles in use show a whole section of the chest, those of training part of one."""
LEAST = 0.5
"""Probability of a lesion from which a voxel counts."""
ROI = "GTV-1"


def loss(logits: Tensor, targets: Sample) -> Tensor:
    """Weighted cross-entropy, plus soft Dice loss of both lungs and the lesions over the batch."""
    labels, weight = targets
    logits = logits.float()
    entropy = (functional.cross_entropy(logits, labels, reduction="none") * weight).mean()
    probability = torch.softmax(logits, dim=1)[:, 1:]
    truth = functional.one_hot(labels, CHANNELS).movedim(-1, 1)[:, 1:].to(probability.dtype)
    axes = (0, 2, 3, 4)
    weighed = weight[:, None]
    overlap = (probability * truth * weighed).sum(axes)
    dice = (2 * overlap + 100) / (((probability + truth) * weighed).sum(axes) + 100)
    return entropy + (1 - dice).mean()


def main() -> None:
    """Train, export and describe the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=45, help="wall-clock budget of the training")
    parser.add_argument("--steps", type=int, help="train so many steps instead (reproducible)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, default=Path("models/lung-ct"), help="bundle to begin with")
    parser.add_argument("--out", type=Path, default=Path("models/lung-lesion-ct"))
    parser.add_argument("--checkpoint", type=Path, default=Path(tempfile.gettempdir()) / "dicomnode-lung-lesion-ct.pt")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--threads", type=int, default=min(os.cpu_count() or 1, 16))
    parser.add_argument("--evaluate", type=Path, nargs="*", default=[], help="study folders to measure on for the card")
    parser.add_argument("--note", default="", help="a sentence for the card, such as how the run was resumed")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    plan = Plan(
        tiles=lambda first: LesionTiles(options.seed, first), loss=loss, batch=BATCH, rate=LEARNING_RATE,
        minutes=options.minutes, steps=options.steps, checkpoint=options.checkpoint, heads=HEADS,
    )  # fmt: skip
    # A run that goes on finds its weights in the checkpoint.
    examples = [] if options.checkpoint.exists() else islice(LesionTiles(options.seed), SLABS)
    network = continued(options.start / "model.onnx", CHANNELS, (image[None] for image, *_ in examples))
    for name, weights in network.named_parameters():
        weights.requires_grad_(not name.startswith(FROZEN))
    training = Training(network, plan, options.seed)
    training.run(options.workers)
    budget = f"--steps {options.steps}" if options.steps else f"--minutes {options.minutes:g}"
    command = f"python -m dicomnode.train.lung_lesion_ct {budget} --seed {options.seed}"
    if options.evaluate:
        command += " --evaluate STUDY_FOLDER …"
    _publish(training, options.out, options.evaluate, command, options.note)


def _publish(training: Training, out: Path, studies: Sequence[Path], command: str, note: str) -> None:
    """Export the network, describe it, and measure it for the card."""
    out.mkdir(parents=True, exist_ok=True)
    device = "one GPU" if training.device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    run = Run(
        seed=training.seed, steps=training.step, minutes=training.seconds / 60, batch=BATCH,
        parameters=sum(p.numel() for p in training.network.parameters()), device=device, note=note,
    )  # fmt: skip
    assert isinstance(training.network, LungNetwork)
    export_onnx(training.network, out / "model.onnx", WHOLE_TILE)
    said = "not yet measured"
    for _ in range(2):  # the second time with what was measured the first time
        write_model_toml(
            out, run.version, spacing_mm=SPACING_MM, clip_hu=CLIP_HU, tile=WHOLE_TILE, least=LEAST, sensitivity=said
        )
        if said != "not yet measured":
            break
        cases = on_phantoms(out)
        lesions = [one for case in cases for one in case.truths]
        found = sum(one.found for one in lesions)
        wrong = sum(case.false_positives for case in cases) / len(cases)
        said = (
            f"{found / max(1, len(lesions)):.2f} ({found} of {len(lesions)} lesions from {SMALLEST_MM:.0f} mm) with "
            f"{wrong:.1f} false positives per case on {len(cases)} synthetic phantoms; unknown on patients"
        )
    performance = f"Sensitivity {said}.\n\n{sensitivity_table(cases)}\n\n{froc_table(cases)}\n"
    for study in studies:
        case, mask = on_study(study, out, ROI)
        performance += f"\n- {case_text(study.name, case, mask, ROI)}"
    say(performance)
    write_card(out, run, performance, command, LEAST)


if __name__ == "__main__":
    main()
