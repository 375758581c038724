"""The chest-CT recipe of DuneAI as a bundle without Python finds a real tumour within the memory of a laptop."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from scipy import ndimage

from dicomnode.train.reference import Mask, dice, read_axial_ct, roi_mask
from tests.acceptance.reading import complaints, words
from tests.series import bundles

pytestmark = pytest.mark.acceptance

#: Primakov 2022 (Nat. Commun. 13:3423) and its code: lung window, nearest pixels of 1 mm, the lungs isolated about the
#: axis of the spine, 8-bit bins, 512 × 512, slice by slice, and the largest piece in three dimensions is GTV-1.
RECIPE = """
[input.ct]
Modality = "CT"
[[prepare]]
step = "reorient"
orientation = "axial"
[[prepare]]
step = "resample"
spacing_mm = [1.0, 1.0]
axes = "source"
interpolation = "nearest"
[[prepare]]
step = "lungs"
[[prepare]]
step = "window"
centre = -600.0
width = 1500.0
[[prepare]]
step = "set_outside"
over = "lungs"
value = 0.0
[[prepare]]
step = "bins"
count = 256
range = [0.0, 1.0]
[[prepare]]
step = "crop_or_pad"
shape = [0, 512, 512]
outside = 0.0
[tile]
shape = [1, 512, 512]
overlap = 0.0
batch = 1
[output]
activation = "softmax"
[[post]]
step = "argmax"
[[post]]
step = "lesions"
segments = [1]
[valid]
slice_spacing_mm = [0.5, 5.0]
[[segment]]
number = 1
label = "GTV-1"
category = { value = "49755003", scheme = "SCT", meaning = "Morphologically Abnormal Structure" }
type = { value = "4147007", scheme = "SCT", meaning = "Mass" }
anatomic_region = { value = "39607008", scheme = "SCT", meaning = "Lung" }
"""
#: Grey values between which the stand-in network takes tissue for a tumour: -85 to 130 HU. This patient's heart, which
#: the mirrored lung lets in, is enhanced and brighter.
SOFT = (215, 252)
#: Side of a square in mm, and the share of it that has to be such tissue: strips of the chest wall are thinner.
SQUARE, SHARE = 21, 0.7

#: What a laptop has, as the authors of the recipe state.
LAPTOP_BYTES = 8 * 1024**3

#: Runs a command and writes the greatest resident memory of its processes, in KiB (getrusage(2)), beside its answer.
MEASURED = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[2:])
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
raise SystemExit(done.returncode)
"""


def stand_in() -> bytes:
    """A two-dimensional network of one channel that marks where most of a square of `SQUARE` pixels is soft tissue."""
    onnx = pytest.importorskip("onnx")
    make = onnx.helper.make_node
    plane: list[int | str] = ["batch", 1, "row", "column"]
    return bundles.serialized(
        [
            make("Conv", ["image", "w0", "b0"], ["above"]),
            make("Sigmoid", ["above"], ["bands"]),
            make("Conv", ["bands", "w2", "b2"], ["mask"]),
            make(
                "AveragePool", ["mask"], ["share"], kernel_shape=[SQUARE, SQUARE], pads=[SQUARE // 2] * 4,
                count_include_pad=1,
            ),
            make("Conv", ["share", "w1", "b1"], ["logits"]),
        ],
        {"image": plane},
        {"logits": ["batch", 2, "row", "column"]},
        {
            "w0": ([2, 1, 1, 1], [1.0, 1.0]),
            "b0": ([2], [-one - 0.5 for one in SOFT]),
            "w2": ([1, 2, 1, 1], [1.0, -1.0]),
            "b2": ([1], [0.0]),
            "w1": ([2, 1, 1, 1], [0.0, 100.0]),
            "b1": ([2], [0.0, -100.0 * SHARE]),
        },
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """What `dicomnode process` said and wrote, and what it took."""

    answer: dict[str, Any]
    segmentation: Dataset
    report: Dataset
    folder: Path
    seconds: float
    peak_bytes: int


@pytest.fixture(scope="module")
def study(real_data: Path) -> Path:
    """The patient's folder: CT, contours, plan and dose."""
    return real_data / "lung1" / "LUNG1-002_20180526_CT"


@pytest.fixture(scope="module")
def processed(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Processed:
    """The recipe, run by the installed command in processes of its own."""
    folder = tmp_path_factory.mktemp("duneai")
    bundles.write(folder / "models", "duneai", RECIPE, stand_in())
    command = [sys.executable, "-m", "dicomnode", "process", study, "--model", "duneai", "--models", folder / "models"]
    line = [*command, "--out", folder / "out", "--json"]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, folder / "peak", *map(str, line)],
        capture_output=True, text=True, timeout=600, check=False, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    seconds = time.perf_counter() - started
    assert done.returncode == 0, done.stdout + done.stderr
    peak = int((folder / "peak").read_text()) * 1024
    print(f"DuneAI recipe on LUNG1-002: {seconds:.1f} s, peak {peak / 2**30:.2f} GiB")  # noqa: T201 - for the log
    return Processed(
        answer=json.loads(done.stdout),
        segmentation=dcmread(folder / "out" / "seg.dcm"),
        report=dcmread(folder / "out" / "sr.dcm"),
        folder=folder / "out",
        seconds=seconds,
        peak_bytes=peak,
    )


@pytest.fixture(scope="module")
def contour(study: Path) -> Mask:
    """The expert's GTV-1 on the grid of the CT, (slice, row, column)."""
    ct, structure_sets = read_axial_ct(study)
    return roi_mask(structure_sets[0], "GTV-1", ct)


@pytest.fixture(scope="module")
def found(processed: Processed, study: Path) -> Mask:
    """Segment 1 of the SEG on the grid of the CT."""
    ct, _ = read_axial_ct(study)
    mask = np.zeros(ct.hounsfield.shape, dtype=bool)
    ds = processed.segmentation
    frames = ds.pixel_array.reshape(-1, *mask.shape[1:])
    for frame, groups in zip(frames, ds.PerFrameFunctionalGroupsSequence, strict=True):
        z = float(groups.PlanePositionSequence[0].ImagePositionPatient[2])
        mask[round((z - ct.origin_mm[2]) / ct.spacing_mm[0])] |= frame.astype(bool)
    return mask


def test_the_region_is_called_gtv_1_and_overlaps_the_experts(processed: Processed, found: Mask, contour: Mask) -> None:
    labels = [str(segment.SegmentLabel) for segment in processed.segmentation.SegmentSequence]
    print(f"Dice of the stand-in network with GTV-1: {dice(found, contour):.2f}")  # noqa: T201 - for the log
    assert labels == ["GTV-1"]
    # A stand-in that thresholds is no DuneAI: it has to find this tumour and mostly this tumour.
    assert (found & contour).sum() > 0.5 * found.sum()
    assert (found & contour).sum() > 0.2 * contour.sum()


def test_the_region_is_one_piece_and_the_others_are_listed_with_their_volumes(
    processed: Processed, found: Mask
) -> None:
    _, pieces = ndimage.label(found)
    said = words(processed.report)
    assert pieces == 1
    assert re.search(r"\d+ (further|other|more)|other pieces|further pieces", said), said
    assert re.search(r"\d ml", said), said


def test_the_objects_are_valid(processed: Processed) -> None:
    assert complaints(processed.folder / "seg.dcm") == []
    assert complaints(processed.folder / "sr.dcm") == []


def test_a_laptop_has_enough_memory(processed: Processed) -> None:
    assert processed.peak_bytes < LAPTOP_BYTES
