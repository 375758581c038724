"""Prints what every step adds to the resident memory at its peak, in units of the int16 volume; see test_memory.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from highdicom import Volume

from dicomnode.domain.model import Step
from dicomnode.infer.prepare.pipeline import prepare
from tests.unit.infer.prepare.conftest import model, step

#: After the first step that changes values the network's own copy of them, float32, is held beside the source.
FLOAT = step("clip", range=(-1000.0, 2000.0))
LOW = step("clip", range=(0.0, 2000.0))

#: Every step with settings that ask much of memory, after those that it needs.
RECIPES: dict[str, tuple[Step, ...]] = {
    "align": (
        FLOAT,
        step("align"),
    ),
    "bias_field": (LOW, step("bias_field", iterations=(2, 2))),
    "bins": (
        FLOAT,
        step("bins", count=64),
    ),
    "body_mask": (
        FLOAT,
        step("body_mask", outside=-1000.5),
    ),
    "clip": (LOW,),
    "clip_percentiles": (LOW, step("clip_percentiles", percentiles=(0.5, 99.5), over="foreground", outside=0.0)),
    "crop_or_pad": (
        FLOAT,
        step("crop_or_pad", shape=(0, 520, 520), outside=-1000.0),
    ),
    "crop_to_mask": (FLOAT, step("body_mask"), step("crop_to_mask", around="body")),
    "equalise": (LOW, step("equalise")),
    "equalise_locally": (
        FLOAT,
        step("equalise_locally", radius=16),
    ),
    "fill": (
        FLOAT,
        step("fill", value=0.0),
    ),
    "gamma": (
        FLOAT,
        step("gamma", exponent=0.5),
    ),
    "gaussian": (
        FLOAT,
        step("gaussian", sigma_mm=1.0),
    ),
    "log": (
        FLOAT,
        step("log", offset=5000.0),
    ),
    "lungs": (
        FLOAT,
        step("lungs", outside=-1000.5),
    ),
    "match_histogram": (LOW, step("match_histogram", percentiles=(0.0, 50.0, 100.0), reference=(0.0, 1.0, 3.0))),
    "median": (
        FLOAT,
        step("median", radius=(0, 1, 1)),
    ),
    "minmax": (
        FLOAT,
        step("minmax"),
    ),
    "nonzero": (LOW, step("nonzero")),
    "positive": (LOW, step("positive")),
    "reorient": (
        FLOAT,
        step("reorient", orientation="sagittal"),
    ),
    "resample": (
        FLOAT,
        step("resample", spacing_mm=(1.0, 0.71, 0.71), interpolation="bspline"),
    ),
    "resize": (
        FLOAT,
        step("resize", shape=(0, 500, 500)),
    ),
    "restep": (FLOAT, step("restep", spacing_mm=(1.1, 0.71, 0.71), interpolation="linear")),
    "respace": (FLOAT, step("respace", spacing_mm=(1.0, 0.71, 0.71), apart_above=None, interpolation="bspline")),
    "scale": (
        FLOAT,
        step("scale", range=(-1000.0, 400.0)),
    ),
    "set_outside": (LOW, step("set_outside", over="foreground", value=-1.0)),
    "transpose": (FLOAT, step("transpose", axes=(2, 0, 1))),
    "window": (
        FLOAT,
        step("window", centre=40.0, width=400.0),
    ),
    "zscore": (LOW, step("zscore", over="foreground", outside=0.0)),
}


def main() -> None:
    """Every step on a trunk with lungs, spine and noise; arguments: number of slices, then steps, all if none."""
    slices, names = int(sys.argv[1]), sys.argv[2:] or list(RECIPES)
    # What is loaded or planned once is no step's.
    small = trunk(8)
    for name in names:
        prepare([small], model(*RECIPES[name]))
    ratios = {}
    volume = trunk(slices)
    for name in names:
        before = resident_bytes("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        prepare([volume], model(*RECIPES[name]))
        ratios[name] = round(1 + (resident_bytes("VmHWM") - before) / volume.array.nbytes, 2)
    sys.stdout.write(json.dumps(ratios))


def trunk(slices: int) -> Volume:
    """An axial CT of 512 × 512 pixels of 0.7 mm, 1 mm apart."""
    rows, columns = np.mgrid[:512, :512]
    plane = np.full((512, 512), -1000, dtype=np.int16)
    plane[np.hypot((rows - 256) / 180, (columns - 256) / 220) < 1] = 40
    for side in (150, 360):
        plane[np.hypot((rows - 240) / 90, (columns - side) / 70) < 1] = -850
    plane[380:410, 240:272] = 600
    plane += np.random.default_rng(0).integers(-10, 10, plane.shape, dtype=np.int16)
    affine = np.array([[0, 0, 0.7, 0], [0, 0.7, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=float)
    return Volume(array=np.repeat(plane[np.newaxis], slices, axis=0), affine=affine, coordinate_system="PATIENT")


def resident_bytes(key: str) -> int:
    """`VmRSS` (now) or `VmHWM` (peak since it was reset) of this process, proc(5)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[key].split()[0]) * 1024


if __name__ == "__main__":
    main()
