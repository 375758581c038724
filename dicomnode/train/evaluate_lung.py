"""Measuring the lung model beside the thresholding baseline: ``python -m dicomnode.train.evaluate_lung STUDY``."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.segment import segment
from dicomnode.train.phantoms import thorax
from dicomnode.train.reference import AxialCT, Mask, dice, read_axial_ct, roi_mask, threshold_lungs

THREADS = 2
"""CPU threads of the network where there is no GPU, so that the seconds mean the same everywhere."""
HELD_OUT_SEEDS = range(8)
"""Phantoms that no run trains on: the seeds of a run with seed s begin at 10 000 000 s, and s is at least 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Dice coefficients of one CT against its reference, right and left lung."""

    network: tuple[float, float]
    baseline: tuple[float, float]
    network_seconds: float
    baseline_seconds: float


def segment_lungs(ct: AxialCT, model: Path) -> npt.NDArray[np.uint8]:
    """Labels of a model folder on the grid of a CT, computed as the node does; (slice, row, column)."""
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = ct.spacing_mm
    affine[:, 3] = (*ct.origin_mm, 1.0)
    volume = Volume(ct.hounsfield, affine, coordinate_system="PATIENT")
    source = SourceSeries(volume=volume, planes=())
    found = segment(source, load_bundle(model), Sessions(threads=THREADS))
    labels: npt.NDArray[np.uint8] = found.volume.array
    return labels


def agreement(ct: AxialCT, right: Mask, left: Mask, exclude: Mask | None, model: Path) -> Agreement:
    """Segment one CT with the network and with the baseline and compare both with the reference masks."""
    started = time.perf_counter()
    network = segment_lungs(ct, model)
    between = time.perf_counter()
    baseline = threshold_lungs(ct)
    ended = time.perf_counter()
    return Agreement(
        network=(dice(network == 1, right, exclude), dice(network == 2, left, exclude)),
        baseline=(dice(baseline == 1, right, exclude), dice(baseline == 2, left, exclude)),
        network_seconds=between - started,
        baseline_seconds=ended - between,
    )


def on_study(folder: Path, model: Path, right: str, left: str, exclude: str | None) -> Agreement:
    """Agreement with the contours of the structure set that lies beside a CT."""
    ct, structure_sets = read_axial_ct(folder)
    if not structure_sets:
        raise ValueError(f"{folder}: no RT Structure Set found beside the CT")
    rois = structure_sets[0]
    without = roi_mask(rois, exclude, ct) if exclude else None
    return agreement(ct, roi_mask(rois, right, ct), roi_mask(rois, left, ct), without, model)


def on_phantoms(model: Path, seeds: range = HELD_OUT_SEEDS, variety: float = 1.0) -> list[Agreement]:
    """Agreement on phantoms that were never trained on, at 3.0 × 1.5 × 1.5 mm."""
    result = []
    for seed in seeds:
        phantom = thorax(seed, spacing_mm=(3.0, 1.5, 1.5), shape=(110, 256, 256), variety=variety)
        ct = AxialCT(hounsfield=phantom.hounsfield, spacing_mm=phantom.spacing_mm, origin_mm=phantom.origin_mm)
        result.append(agreement(ct, phantom.labels == 1, phantom.labels == 2, None, model))
    return result


def table(rows: dict[str, list[Agreement]]) -> str:
    """Medians over each group of CTs, the lowest in brackets, as a Markdown table."""
    lines = [
        "| data | network right | network left | baseline right | baseline left | network s | baseline s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, group in rows.items():
        scores = np.array([(*a.network, *a.baseline, a.network_seconds, a.baseline_seconds) for a in group])
        middle, lowest = np.median(scores, axis=0), scores.min(axis=0)
        cells = [
            f"{m:.3f} ({low:.3f})" if len(group) > 1 else f"{m:.3f}"
            for m, low in zip(middle[:4], lowest[:4], strict=True)
        ]
        cells += [f"{seconds:.1f}" for seconds in middle[4:]]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print Dice coefficients of network and baseline for a study with expert contours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="folder with an axial CT and an RT Structure Set")
    parser.add_argument("--model", type=Path, default=Path("models/lung-ct"))
    parser.add_argument("--right", default="Lung R", help="ROI Name of the right lung")
    parser.add_argument("--left", default="Lung L", help="ROI Name of the left lung")
    parser.add_argument("--exclude", default="GTV-1", help="ROI Name whose voxels count for neither; empty for none")
    options = parser.parse_args()
    result = on_study(options.study, options.model, options.right, options.left, options.exclude or None)
    print(table({options.study.name: [result]}))  # noqa: T201


if __name__ == "__main__":
    main()
