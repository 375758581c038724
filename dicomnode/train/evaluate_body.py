"""Measuring body-ct: ``python -m dicomnode.train.evaluate_body STUDY`` holds it against thresholding."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from highdicom import Volume

from dicomnode.infer.prepare.body import body_of
from dicomnode.infer.prepare.grid import Grid as ImageGrid
from dicomnode.train.evaluate_lung import segment_lungs
from dicomnode.train.phantoms import patient
from dicomnode.train.reference import AxialCT, Mask, dice, read_axial_ct
from dicomnode.train.scanner import scan
from dicomnode.train.shapes import Grid

HELD_OUT_SEEDS = range(6)
"""Phantoms that no run trains on: the seeds of a run with seed s begin at 10 000 000 s, and s is at least 1."""
ABOVE_HU, COUCH_MM = -400.0, 10.0
"""What the step `body_mask` takes by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyAgreement:
    """Dice coefficients of one CT; those with the truth are None where nobody knows it."""

    network: float | None
    threshold: float | None
    between: float
    volume_ml: float


def thresholded(ct: AxialCT) -> Mask:
    """The body by the step `body_mask`, each slice filled."""
    grid = ImageGrid.of(_volume(ct))
    return body_of(ct.hounsfield.astype(np.float32), grid, ABOVE_HU, COUCH_MM)


def agreement(ct: AxialCT, truth: Mask | None, model: Path) -> BodyAgreement:
    """Hold network and threshold against the truth, if there is one, and against each other."""
    found = segment_lungs(ct, model) == 1
    simple = thresholded(ct)
    return BodyAgreement(
        network=None if truth is None else dice(found, truth),
        threshold=None if truth is None else dice(simple, truth),
        between=dice(found, simple),
        volume_ml=float(found.sum() * np.prod(ct.spacing_mm) / 1000),
    )


def on_phantoms(model: Path, seeds: Iterable[int] = HELD_OUT_SEEDS) -> list[BodyAgreement]:
    """Agreement on phantoms that were never trained on, at 6 × 2 × 2 mm."""
    result = []
    for seed in seeds:
        grid = Grid(shape=(40, 220, 240), spacing_mm=(6.0, 2.0, 2.0), centre_mm=(-60.0 + 20 * seed, 0.0, 0.0))
        drawn = patient(seed, grid, 1.0)
        truth = drawn.body.astype(np.uint8)
        hounsfield = scan(seed, grid, drawn.image, truth, 1.0)
        ct = AxialCT(hounsfield=hounsfield, spacing_mm=grid.spacing_mm, origin_mm=(0.0, 0.0, 0.0))
        result.append(agreement(ct, truth > 0, model))
    return result


def on_study(folder: Path, model: Path) -> BodyAgreement:
    """Agreement of network and threshold on a CT whose body nobody has drawn."""
    return agreement(read_axial_ct(folder)[0], None, model)


def table(rows: Mapping[str, Sequence[BodyAgreement]]) -> str:
    """Medians over each group of CTs, the lowest in brackets, as a Markdown table."""
    lines = [
        "| data | network, truth | threshold, truth | network, threshold | volume of network ml |",
        "|---|---|---|---|---|",
    ]
    for name, group in rows.items():
        cells = [
            _cell([value for one in group if (value := getattr(one, field)) is not None])
            for field in ("network", "threshold", "between")
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {np.median([one.volume_ml for one in group]):.0f} |")
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "unknown"
    return f"{np.median(values):.3f}" + (f" ({min(values):.3f})" if len(values) > 1 else "")


def _volume(ct: AxialCT) -> Volume:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = ct.spacing_mm
    affine[:, 3] = (*ct.origin_mm, 1.0)
    return Volume(ct.hounsfield, affine, coordinate_system="PATIENT")


def main() -> None:
    """Print how network and threshold agree on a study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, nargs="+", help="folders with an axial CT")
    parser.add_argument("--model", type=Path, default=Path("models/body-ct"))
    options = parser.parse_args()
    print(table({study.name: [on_study(study, options.model)] for study in options.study}))  # noqa: T201


if __name__ == "__main__":
    main()
