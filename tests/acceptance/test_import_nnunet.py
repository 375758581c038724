"""A network trained for seconds by nnU-Net answers in the node as nnU-Net itself does, on the same DICOM series."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK
from highdicom import VolumeGeometry
from highdicom.seg import segread

from dicomnode.train.phantoms import Phantom, thorax
from dicomnode.train.reference import dice
from dicomnode.train.series import to_datasets

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).resolve().parents[2]
DATASET, NUMBER = "Dataset901_Phantoms", 901

#: Finds PyTorch in another environment of the same Python, behind everything that is installed here.
COMMAND = "import sys; sys.path += filter(None, [sys.argv.pop(1)]); from dicomnode.cli import main; main()"

CODES = "label\tscheme\tvalue\tmeaning\nlungs\tSCT\t39607008\tLung\ntissue\tSCT\t87784001\tSoft tissue\n"
CODES += "body without lungs\tSCT\t87784001\tSoft tissue\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """An interpreter that has nnunetv2, and the folder of its packages where PyTorch is not installed here."""

    python: str
    packages: str

    def run(self, below: Path, task: dict[str, Any]) -> None:
        """Do a task of `nnunet_peer`."""
        path = below / "task.json"
        path.write_text(json.dumps(task))
        folders = {f"nnUNet_{name}": str(below / name) for name in ("raw", "preprocessed", "results")}
        # Threads that wait by spinning take the processor from those that work.
        single = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "nnUNet_compile": "f", "nnUNet_def_n_proc": "1"}
        command = [self.python, str(Path(__file__).with_name("nnunet_peer.py")), str(path)]
        done = subprocess.run(command, env={**os.environ, **folders, **single}, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def peer() -> Peer:
    """The interpreter named by DICOMNODE_NNUNET_PYTHON, that of `make peers`, or this one."""
    inside = ROOT / ".venv" / "peers" / "bin" / "python"
    python = os.environ.get("DICOMNODE_NNUNET_PYTHON") or (str(inside) if inside.exists() else sys.executable)
    asked = "import nnunetv2, sys, sysconfig; print(sysconfig.get_path('purelib'), sys.version_info[:2])"
    found = subprocess.run([python, "-c", asked], capture_output=True, text=True)
    if found.returncode != 0:
        pytest.skip(f"nnunetv2 is not installed for {python}: `make peers`, or name one in DICOMNODE_NNUNET_PYTHON")
    packages, version = found.stdout.split(maxsplit=1)
    if importlib.util.find_spec("torch") is not None:
        return Peer(python=python, packages="")
    if version.strip() != str(sys.version_info[:2]):
        pytest.skip(f"PyTorch is not installed here, and that of {python} is for Python {version.strip()}")
    return Peer(python=python, packages=packages)


def labelled(seed: int, spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> Phantom:
    """A thorax with lungs (1) and other tissue (2), which seconds of training tell apart."""
    made = thorax(seed, spacing_mm=spacing_mm, shape=shape, variety=1.0)
    labels = (made.labels > 0).astype(np.uint8)
    labels[(made.hounsfield > -300) & (labels == 0)] = 2
    return Phantom(
        hounsfield=made.hounsfield, labels=labels, spacing_mm=spacing_mm, origin_mm=made.origin_mm, seed=seed
    )


def image(array: npt.NDArray[Any], phantom: Phantom) -> Any:
    found: Any = SimpleITK.GetImageFromArray(array)
    found.SetSpacing(phantom.spacing_mm[::-1])
    found.SetOrigin(phantom.origin_mm)
    return found


def stripped(phantom: Phantom) -> Phantom:
    """The same with 0 where neither lungs nor other tissue are, as in images of which a part was cut out."""
    return replace(phantom, hounsfield=np.where(phantom.labels > 0, phantom.hounsfield, 0).astype(np.int16))


def write_raw(below: Path, treated: Callable[[Phantom], Phantom] = lambda phantom: phantom, **labels: Any) -> None:
    """nnU-Net's folders, with five phantoms whose slices lie much farther apart than their pixels."""
    for name in (f"raw/{DATASET}/imagesTr", f"raw/{DATASET}/labelsTr", "preprocessed", "results"):
        (below / name).mkdir(parents=True)
    raw = below / "raw" / DATASET
    for seed in range(5):
        phantom = treated(labelled(seed, (8.0, 3.0, 3.0), (16, 56, 64)))
        SimpleITK.WriteImage(image(phantom.hounsfield, phantom), str(raw / "imagesTr" / f"case{seed}_0000.nii.gz"))
        SimpleITK.WriteImage(image(phantom.labels, phantom), str(raw / "labelsTr" / f"case{seed}.nii.gz"))
    names = {"labels": {"background": 0, "lungs": 1, "tissue": 2}}
    dataset = {"channel_names": {"0": "CT"}, "numTraining": 5, "file_ending": ".nii.gz", **names, **labels}
    (raw / "dataset.json").write_text(json.dumps(dataset))


@pytest.fixture(scope="module")
def trained(peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of nnU-Net in two and in three dimensions."""
    below = tmp_path_factory.mktemp("nnunet")
    write_raw(below)
    task = {
        "do": "train", "number": NUMBER, "dataset": DATASET, "configurations": ["2d", "3d_fullres"], "folds": [0],
        "patch": [8, 32, 32], "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]], "iterations": 30,
    }  # fmt: skip
    peer.run(below, task)
    return below


@pytest.fixture(scope="module")
def cascaded(peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of nnU-Net's two stages of a cascade, the first at twice the distance of rows and columns.

    They tell regions apart, written as labels in another order than that of their channels, and normalise within what
    is not 0 or labelled.
    """
    below = tmp_path_factory.mktemp("cascade")
    regions = {"background": 0, "body": [1, 2], "lungs": 1}
    write_raw(below, stripped, labels=regions, regions_class_order=[2, 1])
    task = {
        "do": "train", "number": NUMBER, "dataset": DATASET, "configurations": ["3d_fullres"], "folds": [0],
        "patch": [8, 32, 32], "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]], "iterations": 30,
        "lowres": [9.0, 6.0, 6.0],
        "changes": {"normalization_schemes": ["ZScoreNormalization"], "use_mask_for_norm": [True]},
    }  # fmt: skip
    peer.run(below, task)
    return below


SERIES = pytest.mark.parametrize(
    ("spacing_mm", "shape"),
    [((6.5, 2.5, 2.5), (18, 64, 72)), ((10.0, 2.0, 2.0), (12, 80, 90))],
    ids=["in all axes", "anisotropic"],
)


@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
@SERIES
def test_nnunet_and_the_node_agree_on_a_series(
    peer: Peer,
    trained: Path,
    tmp_path: Path,
    configuration: str,
    spacing_mm: tuple[float, float, float],
    shape: tuple[int, int, int],
) -> None:
    read = write_series(tmp_path, labelled(77, spacing_mm, shape))
    source = trained / "results" / DATASET / f"nnUNetTrainer__nnUNetPlans__{configuration}"
    expected = predicted(peer, trained, source, tmp_path)
    said, found = imported(peer, source, tmp_path, read)
    assert "largest difference" in said and "ran on a phantom" in said
    for label in (1, 2):
        assert (expected == label).sum() > 10_000
        assert dice(found == label, expected == label) >= 0.999


@SERIES
def test_nnunet_and_the_node_agree_on_what_both_stages_of_a_cascade_make_of_a_series(
    peer: Peer, cascaded: Path, tmp_path: Path, spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]
) -> None:
    read = write_series(tmp_path, stripped(labelled(77, spacing_mm, shape)))
    results = cascaded / "results" / DATASET
    first, second = (results / f"nnUNetTrainer__nnUNetPlans__3d_{name}" for name in ("lowres", "cascade_fullres"))
    coarse = predicted(peer, cascaded, first, tmp_path)
    expected = predicted(peer, cascaded, second, tmp_path, previous=tmp_path / "3d_lowres")
    said, found = imported(peer, results, tmp_path, read, "--configuration", "3d_cascade_fullres")
    assert said.count("largest difference") == 2 and "ran on a phantom" in said
    for segment, label in ((1, 2), (2, 1)):
        assert (expected == label).sum() > 10_000
        assert dice(found == segment, expected == label) >= 0.999
    # The second stage has done something of its own.
    assert (coarse != expected).mean() > 0.001


def write_series(below: Path, phantom: Phantom) -> Any:
    """A phantom as DICOM in `below/series`, and as SimpleITK reads that in a file for nnU-Net; the image."""
    series = below / "series"
    series.mkdir()
    for number, ds in enumerate(to_datasets(phantom)):
        ds.save_as(series / f"{number}.dcm", enforce_file_format=True)
    reader: Any = SimpleITK.ImageSeriesReader()  # type: ignore[no-untyped-call]
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
    read: Any = reader.Execute()
    SimpleITK.WriteImage(read, str(below / "case_0000.nii.gz"))
    return read


def predicted(peer: Peer, trained: Path, source: Path, below: Path, previous: Path | None = None) -> npt.NDArray[Any]:
    """nnU-Net's own label map of the case in `below`, which it leaves in a folder named for the configuration."""
    out = below / source.name.rpartition("__")[2]
    out.mkdir()
    task = {
        "do": "predict", "model": str(source), "folds": [0], "images": [[str(below / "case_0000.nii.gz")]],
        "out": [str(out / "case")], "seconds": str(below / "seconds.json"),
        "previous": previous and str(previous),
    }  # fmt: skip
    peer.run(trained, task)
    found: npt.NDArray[Any] = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(out / "case.nii.gz")))
    return found


def imported(peer: Peer, source: Path, below: Path, read: Any, *options: str) -> tuple[str, npt.NDArray[Any]]:
    """What an import prints, and the label map that the bundle makes of the series in `below`."""
    models, codes = below / "models", below / "codes.tsv"
    models.mkdir()
    codes.write_text(CODES)
    told = ("--name", "made", "--folder", models, "--codes", codes, *options)
    said = command(peer, "models", "import", "nnunet", source, *told)
    assert [path.name for path in models.iterdir()] == ["made"]
    command(peer, "process", below / "series", "--models", models, "--model", "made", "--out", below / "out")
    return said, segmented(below / "out", read)


def command(peer: Peer, *words: object) -> str:
    """Run the command; what it prints."""
    told = [sys.executable, "-c", COMMAND, peer.packages, *map(str, words)]
    done = subprocess.run(told, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def segmented(folder: Path, read: Any) -> npt.NDArray[Any]:
    """The label map of the SEG in a folder, on the grid of an axial image."""
    (path,) = (path for path in sorted(folder.rglob("*.dcm")) if "seg" in path.name.lower())
    columns_mm, rows_mm, slices_mm = read.GetSpacing()
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = (slices_mm, rows_mm, columns_mm)
    affine[:, 3] = (*read.GetOrigin(), 1)
    grid = VolumeGeometry(affine=affine, spatial_shape=read.GetSize()[::-1], coordinate_system="PATIENT",
                          frame_of_reference_uid=segread(path).FrameOfReferenceUID)  # fmt: skip
    volume = segread(path).get_volume(combine_segments=True, allow_missing_positions=True)
    found: npt.NDArray[Any] = volume.match_geometry(grid).array
    return found
