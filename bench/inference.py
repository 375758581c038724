"""Sliding windows in 2D and 3D against the pure runtime on the same tiles, from prepared to blended volume."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from bench.bundles import flat
from bench.rows import Row, alternating, main, share_of
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.mask import probabilities
from dicomnode.infer.network.ensemble import Ensemble
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.network.tiles import cut, places
from dicomnode.infer.prepare.pipeline import prepare

MODELS = Path(__file__).resolve().parents[1] / "models"

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def measure(arguments: argparse.Namespace) -> Sequence[Row]:
    """One row for slices, one for a volume."""
    with TemporaryDirectory() as name:
        flat_spec = flat(Path(name) / "flat")
        deep_spec = load_bundle(MODELS / "lung-ct")
        return [
            _row("sliding window, 2D", body((arguments.flat_slices, 512, 512)), flat_spec, arguments),
            _row("sliding window, 3D", body((arguments.slices, 512, 512)), deep_spec, arguments),
        ]


def _row(name: str, volume: Volume, spec: ModelSpec, arguments: argparse.Namespace) -> Row:
    ours, theirs = taken(volume, spec, arguments.runs, arguments.threads, arguments.clock)
    return Row(
        name=name,
        remark=f"{spec.name}, {len(volume.array)} × 512 × 512, {arguments.clock} time",
        ours=ours,
        theirs=theirs,
        peer="onnxruntime alone on the same tiles",
        ratio=share_of(ours, theirs),
        limit=1.10,
        aim=1.02,
        at_most=True,
    )


def taken(
    volume: Volume, spec: ModelSpec, runs: int, threads: int = 0, clock: str = "wall"
) -> tuple[list[float], list[float]]:
    """Seconds from the prepared volume to blended probabilities, and of onnxruntime on tiles that were cut before.

    On a busy machine the processor time with one thread says more: nothing waits for a thread that does not run.
    """
    ensemble = Ensemble(spec, Sessions(threads=threads, device="cpu"))
    session = Sessions(threads=threads, device="cpu").load(spec, spec.weights[0])
    array = prepare([volume], spec).array
    tiles = [cut(array, start, spec.tile)[None] for start in product(*places(array.shape[1:], spec.tile))]
    (image,) = session.get_inputs()
    feeds = [{image.name: tile[:, :, 0] if len(image.shape) == 4 else tile} for tile in tiles]

    def ours() -> float:
        began = CLOCKS[clock]()
        probabilities(array, ensemble)
        return CLOCKS[clock]() - began

    def pure() -> float:
        began = CLOCKS[clock]()
        for feed in feeds:
            session.run(["logits"], feed)
        return CLOCKS[clock]() - began

    found = alternating({"ours": ours, "pure": pure}, runs)
    return found["ours"], found["pure"]


def body(shape: tuple[int, int, int]) -> Volume:
    """An ellipse of soft tissue in air with two air-filled ellipses, int16 HU with noise, 1 × 0.7 × 0.7 mm."""
    random = np.random.default_rng(0)
    rows, columns = (np.indices(shape[1:]) / np.array(shape[1:]).reshape(2, 1, 1)) - 0.5
    plane = np.full(shape[1:], -1000, dtype=np.int16)
    plane[np.hypot(rows / 0.35, columns / 0.45) <= 1] = 40
    for side in (-0.2, 0.2):
        plane[np.hypot(rows / 0.25, (columns - side) / 0.15) <= 1] = -850
    array: npt.NDArray[Any] = np.empty(shape, dtype=np.int16)
    for slab in array:
        slab[...] = plane + random.integers(-20, 20, plane.shape, dtype=np.int16)
    affine = np.array([[0, 0, 0.7, -180], [0, 0.7, 0, -180], [1, 0, 0, -300], [0, 0, 0, 1]], dtype=float)
    return Volume(array=array, affine=affine, coordinate_system="PATIENT")


if __name__ == "__main__":
    sys.exit(
        main(
            "Sliding windows", measure,
            ("--slices", int, 300), ("--flat-slices", int, 16), ("--threads", int, 0), ("--clock", str, "wall"),
        )
    )  # fmt: skip
