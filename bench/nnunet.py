"""Prediction by an imported bundle against nnU-Net itself, on the same image with the same threads.

    .venv/bin/python bench/nnunet.py .venv/peers/bin/python RESULT_FOLDER BUNDLE NIFTI

BUNDLE was imported from RESULT_FOLDER, NIFTI is an axial image. Prints the ratio of wall times, models loaded before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from highdicom import Volume

from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.answer import answer
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions

PEER = Path(__file__).resolve().parents[1] / "tests" / "acceptance" / "nnunet_peer.py"


def theirs(python: str, model: Path, nifti: Path, threads: int) -> float:
    """Seconds that nnU-Net takes."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, task = Path(folder) / "seconds.json", Path(folder) / "task.json"
        folds = [path.name.removeprefix("fold_") for path in sorted(model.glob("fold_*"))]
        asked: dict[str, Any] = {
            "do": "predict", "model": str(model), "folds": folds, "images": [[str(nifti)]], "threads": threads,
            "out": [str(Path(folder) / "out")], "seconds": str(seconds),
        }  # fmt: skip
        task.write_text(json.dumps(asked))
        environment = {**os.environ, "nnUNet_compile": "f", "nnUNet_def_n_proc": str(threads)}
        subprocess.run([python, str(PEER), str(task)], check=True, capture_output=True, env=environment)
        found: float = json.loads(seconds.read_text())["whole"]
        return found


def ours(bundle: Path, nifti: Path, threads: int) -> float:
    """Seconds that the bundle takes."""
    image: Any = SimpleITK.ReadImage(str(nifti))
    columns_mm, rows_mm, slices_mm = image.GetSpacing()
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = (slices_mm, rows_mm, columns_mm)
    affine[:, 3] = (*image.GetOrigin(), 1)
    volume = Volume(array=SimpleITK.GetArrayFromImage(image), affine=affine, coordinate_system="PATIENT")
    spec, sessions = load_bundle(bundle), Sessions(threads=threads, device="cpu")
    sessions.get(spec)
    began = time.perf_counter()
    answer([SourceSeries(volume=volume, planes=())], spec, sessions)
    return time.perf_counter() - began


def main() -> None:
    """Print both times and their ratio, the least of three each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python")
    parser.add_argument("model", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("nifti", type=Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    mine = min(ours(asked.bundle, asked.nifti, asked.threads) for _ in range(3))
    peer = min(theirs(asked.python, asked.model, asked.nifti, asked.threads) for _ in range(3))
    print(f"dicomnode {mine:.2f} s, nnU-Net {peer:.2f} s: {mine / peer:.2f} of its time")


if __name__ == "__main__":
    main()
