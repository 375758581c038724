"""Measuring lung-lesion-ct lesion by lesion: ``python -m dicomnode.train.evaluate_lesions STUDY --roi GTV-1``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.model import Subject
from dicomnode.infer.answer import answer
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.certainty import CERTAINTY
from dicomnode.infer.network.session import Sessions
from dicomnode.train.phantoms import thorax
from dicomnode.train.reference import AxialCT, Mask, dice, read_axial_ct, roi_mask

THREADS = 1
HELD_OUT_SEEDS = range(6)
"""Phantoms that no run trains on: the seeds of a run with seed s begin at 10 000 000 s, and s is at least 1."""
LESIONS_EACH = 6
COVERED = 0.1
"""A candidate and a lesion belong together when they share this much of the smaller of the two."""
SIZES_MM = (5.0, 10.0, 20.0, 30.0, 200.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One lesion that the model drew.

    Attributes
    ----------
    certainty
        In percent, as reported.
    hits
        Numbers of the true lesions that it belongs to; none makes it a false positive.
    """

    certainty: float
    volume_ml: float
    hits: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """One true lesion, and whether a candidate belongs to it; `diameter_mm` is that of the ball of its volume."""

    number: int
    kind: str
    diameter_mm: float
    found: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One CT: candidates, true lesions, and the Dice coefficient of all lesion voxels together."""

    candidates: tuple[Candidate, ...]
    truths: tuple[Truth, ...]
    dice: float
    labels: npt.NDArray[np.uint8] = field(repr=False)

    @property
    def false_positives(self) -> int:
        """Candidates that belong to no lesion."""
        return sum(not one.hits for one in self.candidates)


def candidates_of(ct: AxialCT, model: Path) -> tuple[npt.NDArray[np.uint8], dict[int, float]]:
    """Labels of lesions on the grid of a CT, 0 elsewhere, and their certainty in percent, computed as the node does."""
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = ct.spacing_mm
    affine[:, 3] = (*ct.origin_mm, 1.0)
    source = SourceSeries(volume=Volume(ct.hounsfield, affine, coordinate_system="PATIENT"), planes=())
    spec = load_bundle(model)
    found = answer([source], spec, Sessions(threads=THREADS))
    numbers = [segment.number for segment in spec.segments if segment.subject is Subject.LESION]
    labels = found.segmentation.volume.array
    lesions = np.where(np.isin(labels, numbers), labels, np.uint8(0)).astype(np.uint8)
    certain = {row.segment_number: row.value for row in found.measurements if row.name == CERTAINTY}
    return lesions, certain


def case_of(ct: AxialCT, truth: npt.NDArray[np.uint8], kinds: dict[int, str], model: Path) -> Case:
    """Hold the candidates on one CT against its true lesions, numbered in `truth`."""
    labels, certain = candidates_of(ct, model)
    voxel_ml = float(np.prod(ct.spacing_mm)) / 1000
    drawn, real = np.bincount(labels.ravel(), minlength=256), np.bincount(truth.ravel(), minlength=256)
    shared = np.zeros((256, 256), dtype=np.int64)
    np.add.at(shared, (labels[labels > 0], truth[labels > 0]), 1)
    numbers = [number for number in kinds if real[number]]
    together = {
        (one, other)
        for one in certain
        for other in numbers
        if shared[one, other] >= max(1, COVERED * min(drawn[one], real[other]))
    }
    candidates = tuple(
        Candidate(
            certainty=certain[one], volume_ml=float(drawn[one]) * voxel_ml,
            hits=tuple(other for other in numbers if (one, other) in together),
        )
        for one in certain
    )  # fmt: skip
    truths = tuple(
        Truth(
            number=other, kind=kinds[other], diameter_mm=float((6000 * real[other] * voxel_ml / np.pi) ** (1 / 3)),
            found=any((one, other) in together for one in certain),
        )
        for other in numbers
    )  # fmt: skip
    return Case(candidates=candidates, truths=truths, dice=dice(labels > 0, truth > 0), labels=labels)


def on_phantoms(model: Path, seeds: Iterable[int] = HELD_OUT_SEEDS) -> list[Case]:
    """Cases of whole phantoms with all their diseases and poor images, at 3.0 × 2.0 × 2.0 mm."""
    cases = []
    for seed in seeds:
        phantom = thorax(
            seed, spacing_mm=(3.0, 2.0, 2.0), shape=(84, 136, 168), variety=1.0, lesions=LESIONS_EACH if seed else 0
        )
        assert phantom.lesions is not None
        ct = AxialCT(hounsfield=phantom.hounsfield, spacing_mm=phantom.spacing_mm, origin_mm=phantom.origin_mm)
        kinds = {lesion.number: lesion.kind.value for lesion in phantom.drawn}
        cases.append(case_of(ct, phantom.lesions, kinds, model))
    return cases


def on_study(folder: Path, model: Path, roi: str = "GTV-1") -> tuple[Case, Mask | None]:
    """The case of a study with a structure set, or of one without, whose candidates are then all unverified."""
    ct, structure_sets = read_axial_ct(folder)
    mask = roi_mask(structure_sets[0], roi, ct) if structure_sets else None
    truth = np.zeros(ct.hounsfield.shape, dtype=np.uint8) if mask is None else mask.astype(np.uint8)
    return case_of(ct, truth, {1: roi} if mask is not None else {}, model), mask


def sensitivity_table(cases: Sequence[Case]) -> str:
    """How many lesions of which size and kind were found, as a Markdown table."""
    truths = [one for case in cases for one in case.truths]
    lines = ["| lesions | found | of |", "|---|---|---|"]
    for low, high in pairwise(SIZES_MM):
        group = [one for one in truths if low <= one.diameter_mm < high]
        told = f"{low:.0f} to {high:.0f} mm" if high < SIZES_MM[-1] else f"{low:.0f} mm and more"
        lines.append(f"| {told} | {sum(one.found for one in group)} | {len(group)} |")
    for kind in sorted({one.kind for one in truths}):
        group = [one for one in truths if one.kind == kind]
        lines.append(f"| {kind} | {sum(one.found for one in group)} | {len(group)} |")
    lines.append(f"| all | {sum(one.found for one in truths)} | {len(truths)} |")
    return "\n".join(lines)


def froc_table(cases: Sequence[Case], limits: Sequence[float] = (0.0, 50.0, 60.0, 70.0, 80.0, 90.0)) -> str:
    """Sensitivity and false positives per case by the least certainty that counts, as a Markdown table."""
    lesions = sum(len(case.truths) for case in cases)
    lines = ["| certainty at least | sensitivity | false positives per case |", "|---|---|---|"]
    for limit in limits:
        kept = [[one for one in case.candidates if one.certainty >= limit] for case in cases]
        hit = sum(len({number for one in case for number in one.hits}) for case in kept)
        wrong = sum(not one.hits for case in kept for one in case)
        lines.append(f"| {limit:.0f} % | {hit / max(1, lesions):.2f} | {wrong / max(1, len(cases)):.1f} |")
    return "\n".join(lines)


def case_text(name: str, case: Case, mask: Mask | None, roi: str) -> str:
    """One study in a sentence or two."""
    listed = ", ".join(f"{one.volume_ml:.2g} ml at {one.certainty:.0f} %" for one in case.candidates) or "none"
    if mask is None:
        return f"{name}: {len(case.candidates)} candidates ({listed}); no reference, so each counts as unverified."
    touching = [one for one in case.candidates if one.hits]
    verdict = "found" if touching else "missed"
    return (
        f"{name}, {roi}: {verdict}; Dice of all lesion voxels {case.dice:.3f}; "
        f"{case.false_positives} false positives; candidates: {listed}."
    )


def main() -> None:
    """Print what the model finds in studies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, nargs="+", help="folders with an axial CT, and an RT Structure Set or none")
    parser.add_argument("--model", type=Path, default=Path("models/lung-lesion-ct"))
    parser.add_argument("--roi", default="GTV-1", help="ROI Name of the lesion")
    options = parser.parse_args()
    for study in options.study:
        case, mask = on_study(study, options.model, options.roi)
        print(case_text(study.name, case, mask, options.roi))  # noqa: T201


if __name__ == "__main__":
    main()
