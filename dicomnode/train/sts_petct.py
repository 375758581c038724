"""Training of the model sts-petct on the sarcoma corpus: ``python -m dicomnode.train.sts_petct --data DIR``."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from dicomnode.domain.model import ModelSpec
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from dicomnode.train.sts_bundle import NAME, SPACING_MM, TILE, write_bundle
from dicomnode.train.sts_card import Run, write_card
from dicomnode.train.sts_cases import Case, Sample, read_case, samples, training_folders
from dicomnode.train.sts_dicom import on_dicom
from dicomnode.train.sts_measure import Row, row
from dicomnode.train.sts_network import SarcomaNetwork, export_onnx
from dicomnode.train.sts_patch import CUT_VOXELS, PATCH
from dicomnode.train.sts_training import BATCH, Plan, Training, say

FOLDS = 5
STEPS = 600
FINAL_STEPS = 800


def folds(cases: Sequence[Case], seed: int, count: int = FOLDS) -> list[list[str]]:
    """Names of the patients of every fold: of each `count` that follow each other in size, every fold gets one."""
    rng = np.random.default_rng(seed)
    result: list[list[str]] = [[] for _ in range(count)]
    ordered = sorted(cases, key=lambda case: (case.truth_ml, case.name))
    for first in range(0, len(ordered), count):
        block = ordered[first : first + count]
        for fold, place in enumerate(rng.permutation(count)):
            if place < len(block):
                result[fold].append(block[int(place)].name)
    return result


def bundle(network: SarcomaNetwork, folder: Path) -> ModelSpec:
    """The network as a bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    export_onnx(network, folder / "model.onnx", TILE)
    write_bundle(folder)
    return load_bundle(folder)


def cross_validated(
    cases: Sequence[Case], prepared: Sequence[Sample], seed: int, steps: int, work: Path, sessions: Sessions
) -> tuple[list[Row], SarcomaNetwork]:
    """Every patient as the network sees him that was trained without him, by name; and the network of the last fold."""
    rows: list[Row] = []
    trained: SarcomaNetwork | None = None
    for number, left_out in enumerate(folds(cases, seed)):
        plan = Plan(name=f"fold-{number}", seed=seed + 1 + number, steps=steps)
        trained = Training(plan, [one for one in prepared if one.name not in left_out], work).run()
        spec = bundle(trained, work / plan.name / NAME)
        rows += [row(case, spec, sessions, seed) for case in cases if case.name in left_out]
        mean = float(np.mean([one.dices[0] for one in rows]))
        say(f"{plan.name} done: Dice {mean:.3f} over {len(rows)} patients so far")
    assert trained is not None
    return sorted(rows, key=lambda one: one.name), trained


def main() -> None:
    """Cross-validate, train on all, test on the DICOM cases, and write the bundle with its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with sts_corpus and sts_ibsi_validation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of each training of the cross-validation")
    parser.add_argument(
        "--final-steps", type=int, default=FINAL_STEPS, help="further steps on all patients, from the last of these"
    )
    parser.add_argument("--out", type=Path, default=Path("models") / NAME)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / f"dicomnode-{NAME}",
                        help="prepared cases and checkpoints; a run that was stopped goes on from there")  # fmt: skip
    parser.add_argument("--threads", type=int, default=1, help="more are slower where other programs share the cores")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sessions = Sessions(threads=options.threads)
    write_bundle(options.work / "prepare" / NAME)
    folders = training_folders(options.data)
    prepared = samples(folders, load_bundle(options.work / "prepare" / NAME), options.work / "cases")
    say(f"{len(prepared)} patients, {sum(one.has_ct for one in prepared)} of them with CT")
    cases = [read_case(folder) for folder in folders]
    rows, last = cross_validated(cases, prepared, options.seed, options.steps, options.work, sessions)
    plan = Plan(name="final", seed=options.seed, steps=options.final_steps)
    final = Training(plan, prepared, options.work, start=last)
    bundle(final.run(), options.out)
    run = Run(
        seed=options.seed,
        steps=options.steps,
        final_steps=options.final_steps,
        batch=BATCH,
        patch_voxels=PATCH,
        cut_mm=CUT_VOXELS * SPACING_MM,
        parameters=sum(p.numel() for p in final.network.parameters()),
        device="one GPU" if final.device.type == "cuda" else f"{options.threads} CPU thread",
    )
    write_card(options.out, run, rows, on_dicom(options.data, options.out, sessions))


if __name__ == "__main__":
    main()
