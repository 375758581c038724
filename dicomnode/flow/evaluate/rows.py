"""The rows of one target of one case: the structure, its lesions, what was taken for one, and the lungs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dicomnode.domain.finding import Findings
from dicomnode.flow.cohort.case import FAILED, OK
from dicomnode.flow.evaluate.figures import Mask, Row, agreement
from dicomnode.flow.evaluate.parts import Lung, answer_of, candidates_of, counted, lesions_of, place_of
from dicomnode.flow.evaluate.reference import Reference
from dicomnode.flow.evaluate.targets import Target
from dicomnode.flow.evaluate.wish import Wish
from dicomnode.measure.agreement.detection import Part, detected
from dicomnode.measure.region import voxel_volume_ml
from dicomnode.report.evaluation.picture import difference_png

#: What a row is about.
STRUCTURE, LESION, CANDIDATE, UNIT = "structure", "lesion", "candidate", "unit"


def rows_of(
    target: Target, findings: Findings, reference: Reference, wish: Wish, pictures: Path, study_instance_uid: str
) -> Iterator[Row]:
    """The structure first; one row with the reason where the reference does not tell.

    Parameters
    ----------
    pictures
        Folder for the picture of the slice on which answer and reference differ most.
    """
    regions = reference.of(target)
    if not regions and not (target.lesion and wish.negatives):
        wanted = " or ".join(target.patterns) or target.name
        told = f"no region for {wanted} in the reference, which has: {', '.join(reference.names) or 'none'}"
        yield {"row": STRUCTURE, "structure": target.name, "status": FAILED, "reason": told}
        return
    excluded = reference.union(wish.exclude)
    drawn = np.zeros(reference.shape, dtype=np.bool_)
    for _name, mask in regions:
        drawn |= mask
    drawn &= ~excluded
    answer = answer_of(findings, target) & ~excluded
    row: Row = {"row": STRUCTURE, "structure": target.name, "status": OK, "reason": ""}
    row |= agreement(findings, drawn, answer, wish.tolerance_mm, lesion=target.lesion)
    more: list[Row] = []
    if target.lesion:
        lungs = [Lung.of(name, mask) for name, mask in reference.each(wish.lungs)]
        lesions = lesions_of(regions, excluded)
        parts = [part for _name, part in lesions]
        candidates = list(counted(candidates_of(findings, target), parts, excluded))
        hits = detected(parts, candidates)
        row |= {"lesions": len(lesions), "lesions_found": hits.found, "false_positives": hits.false_positives}
        row["location"] = ", ".join(dict.fromkeys(filter(None, (place_of(part, lungs) for part in parts))))
        voxel_ml = voxel_volume_ml(findings.source.volume)
        for number, ((name, part), by) in enumerate(zip(lesions, hits.found_by, strict=True), start=1):
            best = max((candidates[other].score for other in by), default=None)
            lesion = _part(LESION, target, number, part, voxel_ml, place_of(part, lungs), bool(by), best)
            more.append({**lesion, "region": name, "covered": part.of(answer) / part.voxels})
        for number, (part, of) in enumerate(zip(candidates, hits.hits, strict=True), start=1):
            more.append(_part(CANDIDATE, target, number, part, voxel_ml, place_of(part, lungs), bool(of), part.score))
        more += _units(target, parts, candidates, lungs)
    row["picture"] = _picture(findings, target, drawn, answer, pictures / f"{study_instance_uid}-{target.name}")
    row["remarks"] = "; ".join((*reference.remarks, *_overlap(regions)))
    yield row
    yield from more


def _overlap(regions: Sequence[tuple[str, Mask]]) -> Iterator[str]:
    """Names the regions that count as one where they share voxels, such as the drawings of two readers."""
    shared = [
        name
        for number, (name, mask) in enumerate(regions)
        if any((mask & other).any() for place, (_name, other) in enumerate(regions) if place != number)
    ]
    if shared:
        yield f"regions that overlap count once: {', '.join(shared)}"


def _part(
    kind: str, target: Target, number: int, part: Part, voxel_ml: float, place: str, hit: bool, score: float | None
) -> Row:
    return {
        "row": kind, "structure": target.name, "status": OK, "number": number, "volume_ml": part.voxels * voxel_ml,
        "location": place, "found": hit, "score": score,
    }  # fmt: skip


def _units(target: Target, lesions: Sequence[Part], candidates: Sequence[Part], lungs: Sequence[Lung]) -> Iterator[Row]:
    """A lung each where they are known, else the case: whether it holds a lesion, and the best score in it."""
    for unit in [lung.name for lung in lungs] or [""]:
        truth = [part for part in lesions if not unit or place_of(part, lungs) == unit]
        scores = [part.score for part in candidates if not unit or place_of(part, lungs) == unit]
        yield {
            "row": UNIT, "structure": target.name, "status": OK, "location": unit,
            "lesion": bool(truth), "score": max(scores, default=0.0),
        }  # fmt: skip


def _picture(findings: Findings, target: Target, reference: Mask, answer: Mask, path: Path) -> str:
    """The name of the file, or "" where there is nothing to show."""
    png = difference_png(findings.source, reference, answer, target.segments[0])
    if png is None:
        return ""
    name = "".join(one if one.isalnum() or one == "." else "-" for one in path.name)
    path.with_name(f"{name}.png").write_bytes(png)
    return f"{name}.png"
