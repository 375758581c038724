"""A network trained for seconds with MONAI answers in the node as MONAI itself does, on the same DICOM series."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from dicomnode.train.phantoms import Phantom, thorax
from dicomnode.train.reference import dice
from dicomnode.train.series import to_datasets
from tests.acceptance.test_import_nnunet import ROOT, Peer, command, image, segmented

pytestmark = pytest.mark.acceptance

CODES = "label\tscheme\tvalue\tmeaning\nlungs\tSCT\t39607008\tLung\nbones\tSCT\t272673000\tBone\n"

LOAD = [{"_target_": "LoadImaged", "keys": "image"}, {"_target_": "EnsureChannelFirstd", "keys": "image"}]
SOFTMAX = {"_target_": "Activationsd", "keys": "pred", "softmax": True}
ARGMAX = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}
BACK = {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image",
        "nearest_interp": False, "to_tensor": True}  # fmt: skip
SAVE = {"_target_": "SaveImaged", "_disabled_": True, "keys": "pred", "output_dir": "$@bundle_root"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A way in which bundles are written."""

    preprocessing: list[dict[str, Any]]
    inferer: dict[str, Any]
    postprocessing: list[dict[str, Any]]


VARIANTS = {
    "oriented": Variant(
        preprocessing=[
            *LOAD,
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "image", "pixdim": [3.0, 3.0, 5.0], "mode": "bilinear"},
            {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -1000, "a_max": 400, "b_min": 0.0,
             "b_max": 1.0, "clip": True},
            {"_target_": "CropForegroundd", "keys": "image", "source_key": "image"},
            {"_target_": "EnsureTyped", "keys": "image"},
        ],
        inferer={"_target_": "SlidingWindowInferer", "roi_size": [32, 32, 32], "sw_batch_size": 2, "overlap": 0.5,
                 "mode": "gaussian"},
        postprocessing=[
            SOFTMAX, BACK, ARGMAX,
            {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": [1]}, SAVE,
        ],
    ),
    "as acquired": Variant(
        preprocessing=[
            *LOAD,
            {"_target_": "ClipIntensityPercentilesd", "keys": "image", "lower": 1, "upper": 99},
            {"_target_": "Spacingd", "keys": "image", "pixdim": [4.0, 3.5, 4.0]},
            {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
        ],
        inferer={"_target_": "SlidingWindowInferer", "roi_size": [32, 32, 32], "overlap": 0.25, "mode": "constant"},
        postprocessing=[BACK, SOFTMAX, ARGMAX],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def peer() -> Peer:
    """The interpreter named by DICOMNODE_MONAI_PYTHON, that of `make peers`, or this one."""
    inside = ROOT / ".venv" / "peers" / "bin" / "python"
    python = os.environ.get("DICOMNODE_MONAI_PYTHON") or (str(inside) if inside.exists() else sys.executable)
    asked = "import monai, nibabel, sys, sysconfig; print(sysconfig.get_path('purelib'), sys.version_info[:2])"
    found = subprocess.run([python, "-c", asked], capture_output=True, text=True)
    if found.returncode != 0:
        pytest.skip(f"monai is not installed for {python}: `make peers`, or name one in DICOMNODE_MONAI_PYTHON")
    packages, version = found.stdout.splitlines()[-1].split(maxsplit=1)
    if importlib.util.find_spec("torch") is not None and importlib.util.find_spec("monai") is not None:
        return Peer(python=python, packages="")
    if version.strip() != str(sys.version_info[:2]):
        pytest.skip(f"PyTorch and monai are not installed here, and those of {python} are for Python {version.strip()}")
    return Peer(python=python, packages=packages)


def labelled(seed: int, spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> Phantom:
    """A thorax with lungs (1) and bones (2), which seconds of training tell apart."""
    made = thorax(seed, spacing_mm=spacing_mm, shape=shape, variety=1.0)
    labels = (made.labels > 0).astype(np.uint8)
    labels[(made.hounsfield > 150) & (labels == 0)] = 2
    return replace(made, labels=labels)


def run(peer: Peer, below: Path, task: dict[str, Any]) -> None:
    """Do a task of `monai_peer`."""
    path = below / "task.json"
    path.write_text(json.dumps(task))
    told = [peer.python, str(Path(__file__).with_name("monai_peer.py")), str(path)]
    single = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(told, env=single, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.parametrize("name", VARIANTS)
def test_monai_and_the_node_agree_on_a_series(peer: Peer, tmp_path: Path, name: str) -> None:
    variant, files = VARIANTS[name], []
    for seed in range(3):
        phantom = labelled(seed, (6.0, 3.0, 3.0), (24, 64, 72))
        files.append((str(tmp_path / f"image{seed}.nii.gz"), str(tmp_path / f"label{seed}.nii.gz")))
        SimpleITK.WriteImage(image(phantom.hounsfield, phantom), files[-1][0])
        SimpleITK.WriteImage(image(phantom.labels, phantom), files[-1][1])
    source = tmp_path / "bundle"
    chains = {
        key: {"_target_": "Compose", "transforms": getattr(variant, key)} for key in ("preprocessing", "postprocessing")
    }
    task = {
        "do": "train", "images": [pair[0] for pair in files], "labels": [pair[1] for pair in files],
        "bundle": str(source), "inferer": variant.inferer, "iterations": 60, **chains,
    }  # fmt: skip
    run(peer, tmp_path, task)

    series = tmp_path / "series"
    series.mkdir()
    for number, ds in enumerate(to_datasets(labelled(77, (7.0, 2.6, 2.6), (22, 76, 84)))):
        ds.save_as(series / f"{number}.dcm", enforce_file_format=True)
    itk: Any = SimpleITK
    reader = itk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
    read = reader.Execute()
    nifti = tmp_path / "case.nii.gz"
    SimpleITK.WriteImage(read, str(nifti))
    run(peer, tmp_path, {"do": "predict", "bundle": str(source), "image": str(nifti), "out": str(tmp_path / "out.npy")})
    expected = np.load(tmp_path / "out.npy").transpose(2, 1, 0)

    models, codes = tmp_path / "models", tmp_path / "codes.tsv"
    models.mkdir()
    codes.write_text(CODES)
    said = command(peer, "models", "import", "monai", source, "--name", "made", "--folder", models, "--codes", codes)
    assert "largest difference" in said and "ran on a phantom" in said
    assert [path.name for path in models.iterdir()] == ["made"]
    command(peer, "process", series, "--models", models, "--model", "made", "--out", tmp_path / "out")
    found = segmented(tmp_path / "out", read)
    for label in (1, 2):
        assert (expected == label).sum() > 100
        assert dice(found == label, expected == label) >= 0.999
