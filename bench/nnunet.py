"""An imported bundle against nnU-Net's own predictor: same untrained weights, same image, same threads, mirrors too."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import SimpleITK
from highdicom import Volume

from bench.nnunet_peer import CONFIGURATION
from bench.rows import Row, alternating, main, times_faster
from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.answer import answer
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions

ROOT = Path(__file__).resolve().parents[1]
PEER = Path(__file__).with_name("nnunet_peer.py")

#: Where `make peers` puts nnU-Net, unless the environment names another interpreter.
PYTHON = os.environ.get("DICOMNODE_NNUNET_PYTHON") or str(ROOT / ".venv" / "peers" / "bin" / "python")

#: Finds PyTorch in another environment of the same Python, behind everything that is installed here.
COMMAND = "import sys; sys.path += [sys.argv.pop(1)]; from dicomnode.cli import main; main()"

#: (slice, row, column) of the image; the network wants pixels of 1.5 mm and sees 40 × 160 × 160 of them.
SHAPE, SPACING_MM = (40, 300, 300), (3.0, 0.8, 0.8)
WANTED_MM, PATCH, STRIDES = [3.0, 1.5, 1.5], [40, 128, 128], [[1, 1, 1], [1, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 2]]

LABELS = {"background": 0, "lungs": 1, "tissue": 2, "bone": 3}
CODES = (
    "label\tscheme\tvalue\tmeaning\n"
    "lungs\tSCT\t39607008\tLung\ntissue\tSCT\t87784001\tSoft tissue\nbone\tSCT\t272673000\tBone\n"
)

_RESAMPLING = "resample_data_or_seg_to_shape"


def measure(arguments: argparse.Namespace) -> Sequence[Row]:
    """The one row, from an image in memory (ours) or a file (theirs) to the labels; both models loaded before."""
    if not Path(arguments.python).exists():
        raise SystemExit(f"{arguments.python} is not there, needed an interpreter that has nnunetv2: `make peers`")
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        image = folder / "case_0000.nii.gz"
        _write_image(image)
        bundle = _imported(folder, arguments.python, arguments.features)
        task = {"do": "serve", "model": str(folder / "result"), "image": str(image), "out": str(folder / "theirs"),
                "threads": arguments.threads}  # fmt: skip
        theirs = stack.enter_context(_serving(arguments.python, folder / "task.json", task))
        ours = _ours(bundle, image, arguments.threads)
        taken = alternating({"ours": ours, "nnU-Net": theirs}, arguments.runs)
    row = Row(
        name="nnU-Net bundle",
        remark=f"{' × '.join(map(str, SHAPE))}, {arguments.features} features and more, "
        f"4 tiles in 8 mirrors, imported with --processor, "
        f"CPU, {arguments.threads} threads",
        ours=taken["ours"],
        theirs=taken["nnU-Net"],
        peer="nnunetv2's predictor",
        ratio=times_faster(taken["ours"], taken["nnU-Net"]),
        limit=1.2,
        aim=2.0,
    )
    return [row]


def _write_image(path: Path) -> None:
    random = np.random.default_rng(0)
    # Coarse noise, so that every stage of the network sees structure.
    coarse = random.normal(0, 300, (10, 20, 20)).astype(np.float32)
    image: Any = SimpleITK.GetImageFromArray(np.kron(coarse, np.ones((4, 15, 15), np.float32)).astype(np.int16))
    image.SetSpacing(SPACING_MM[::-1])
    SimpleITK.WriteImage(image, str(path))


def _imported(folder: Path, python: str, features: int) -> Path:
    """Write a result folder and import it."""
    labels = {"channel_names": {"0": "CT"}, "labels": LABELS, "numTraining": 1, "file_ending": ".nii.gz"}
    task = {"do": "write", "model": str(folder / "result"), "plans": _plans(features), "dataset": labels}
    _run(python, PEER, _told(folder / "write.json", task))
    (folder / "codes.tsv").write_text(CODES)
    packages = _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    words = ("models", "import", "nnunet", folder / "result", "--name", "made", "--folder", folder, "--processor")
    _run(sys.executable, "-c", COMMAND, packages, *words, "--codes", folder / "codes.tsv")
    return folder / "made"


def _plans(features: int) -> dict[str, Any]:
    """What nnU-Net's planner would write for such images."""
    stages = len(STRIDES)
    network = {
        "n_stages": stages, "features_per_stage": [min(features * 2**stage, 320) for stage in range(stages)],
        "conv_op": "torch.nn.modules.conv.Conv3d", "kernel_sizes": [[3, 3, 3]] * stages, "strides": STRIDES,
        "n_conv_per_stage": [2] * stages, "n_conv_per_stage_decoder": [2] * (stages - 1), "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d", "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None, "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
    }  # fmt: skip
    order = {"order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2,
        "patch_size": PATCH, "spacing": WANTED_MM, "median_image_size_in_voxels": [40.0, 160.0, 160.0],
        "normalization_schemes": ["CTNormalization"], "use_mask_for_norm": [False], "batch_dice": True,
        "resampling_fn_data": _RESAMPLING, "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, **order},
        "resampling_fn_seg": _RESAMPLING, "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, **order},
        "resampling_fn_probabilities": _RESAMPLING,
        "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, **order},
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": network, "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }  # fmt: skip
    known = {"mean": 0.0, "std": 300.0, "min": -1000.0, "max": 1000.0, "median": 0.0}
    return {
        "dataset_name": "Dataset900_Made", "plans_name": "nnUNetPlans", "image_reader_writer": "SimpleITKIO",
        "original_median_spacing_after_transp": [*SPACING_MM], "original_median_shape_after_transp": [*SHAPE],
        "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2], "label_manager": "LabelManager",
        "experiment_planner_used": "ExperimentPlanner", "configurations": {CONFIGURATION: configuration},
        "foreground_intensity_properties_per_channel": {
            "0": {**known, "percentile_00_5": -900.0, "percentile_99_5": 900.0}
        },
    }  # fmt: skip


def _ours(bundle: Path, image: Path, threads: int) -> Callable[[], float]:
    read: Any = SimpleITK.ReadImage(str(image))
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = SPACING_MM
    affine[:, 3] = (*read.GetOrigin(), 1)
    volume = Volume(array=SimpleITK.GetArrayFromImage(read), affine=affine, coordinate_system="PATIENT")
    source = SourceSeries(volume=volume, planes=())
    spec, sessions = load_bundle(bundle), Sessions(threads=threads, device="cpu")
    sessions.get(spec)

    def run() -> float:
        began = time.perf_counter()
        answer([source], spec, sessions)
        return time.perf_counter() - began

    return run


@contextmanager
def _serving(python: str, path: Path, task: dict[str, Any]) -> Iterator[Callable[[], float]]:
    """nnU-Net in a process of its own, which predicts once at every call."""
    threads = str(task["threads"])
    environment = {**_environment(), "OMP_NUM_THREADS": threads, "nnUNet_def_n_proc": threads}
    command = [python, str(PEER), str(_told(path, task))]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        asks, answers = process.stdin, process.stdout
        if asks is None or answers is None:
            raise SystemExit("nnU-Net has no pipes, needed both")

        def run() -> float:
            print("again", file=asks, flush=True)
            return float(answers.readline())

        yield run
        asks.close()


def _told(path: Path, task: dict[str, Any]) -> Path:
    path.write_text(json.dumps(task))
    return path


def _environment() -> dict[str, str]:
    return {**os.environ, "nnUNet_compile": "f"}


def _run(*words: object) -> str:
    """Run a command; what it prints."""
    done = subprocess.run([*map(str, words)], cwd=ROOT, env=_environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{words[0]}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(
        main(
            "nnU-Net", measure, ("--python", str, PYTHON), ("--features", int, 16),
            ("--threads", int, os.cpu_count() or 1),
        )
    )  # fmt: skip
