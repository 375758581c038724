"""Lesions of a reference, candidates of a model, and the lungs in which they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dicomnode.domain.finding import Findings
from dicomnode.flow.evaluate.figures import Mask
from dicomnode.flow.evaluate.targets import Target
from dicomnode.infer.certainty import CERTAINTY
from dicomnode.measure.agreement.detection import Part, detected, joined, parts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Lung:
    """A lung of the reference; `centre` in voxels, shape (3,)."""

    name: str
    mask: Mask = field(repr=False)
    centre: NDArray[np.float64]

    @classmethod
    def of(cls, name: str, mask: Mask) -> Lung:
        """With its centre; that of the image where the lung is empty."""
        sums = [mask.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
        places = [
            float(np.average(np.arange(len(one)), weights=one)) if one.any() else (len(one) - 1) / 2 for one in sums
        ]
        return cls(name=name, mask=mask, centre=np.array(places))


def answer_of(findings: Findings, target: Target) -> Mask:
    """The voxels that the model marks for a target; of a detector those in its boxes."""
    found = np.zeros(findings.source.volume.array.shape, dtype=np.bool_)
    for part in candidates_of(findings, target) if findings.detections else ():
        found[part.box] |= part.mask
    numbers = [segment.number for segment in target.segments]
    labels = findings.segmentation.volume.array
    if findings.segmentation.segments:
        found |= np.isin(labels, numbers)
    return found


def candidates_of(findings: Findings, target: Target) -> list[Part]:
    """What a model takes for lesions, each part of a segment or each box, with how sure it is from 0 to 1."""
    numbers = {segment.number for segment in target.segments}
    boxes = [one for one in findings.detections if one.segment.number in numbers]
    if boxes:
        shape = findings.source.volume.array.shape
        return [_boxed(one.low, one.high, shape, one.score) for one in boxes]
    certain = {row.segment_number: row.value / 100 for row in findings.measurements if row.name == CERTAINTY}
    labels = findings.segmentation.volume.array
    present = {segment.number for segment in findings.segmentation.present()}
    return [
        part for number in sorted(numbers & present) for part in parts_of(labels == number, certain.get(number, 1.0))
    ]


def lesions_of(regions: Sequence[tuple[str, Mask]], exclude: Mask) -> list[tuple[str, Part]]:
    """The lesions of a reference, each part of a region, with the name of the region.

    Drawings of one lesion, by two readers or in two objects, are one lesion; lesions that only touch are two.
    """
    drawn = [(name, part) for name, mask in regions for part in parts_of(mask & ~exclude)]
    together = joined([part for _name, part in drawn])
    return [(", ".join(dict.fromkeys(drawn[number][0] for number in own)), part) for own, part in together]


def counted(candidates: Sequence[Part], lesions: Sequence[Part], exclude: Mask) -> Iterator[Part]:
    """The candidates without what is excluded.

    What is left of one that lies mostly in there is a rim about what nobody judges, unless it finds a lesion.
    """
    for part in candidates:
        rest = part.without(exclude)
        if rest.voxels and (2 * rest.voxels >= part.voxels or detected(lesions, [rest]).found):
            yield rest


def place_of(part: Part, lungs: Sequence[Lung]) -> str:
    """The lung that holds most of a part, else the nearest by their centres; "" where no lungs are known."""
    if not lungs:
        return ""
    held = [part.of(lung.mask) for lung in lungs]
    if any(held):
        return lungs[int(np.argmax(held))].name
    # Lungs are often drawn without their tumours.
    middle = [(side.start + side.stop - 1) / 2 for side in part.box]
    apart = [float(np.abs(np.array(middle) - lung.centre)[1:].sum()) for lung in lungs]
    return lungs[int(np.argmin(apart))].name


def _boxed(low: Sequence[float], high: Sequence[float], shape: Sequence[int], score: float) -> Part:
    """A box as the voxels whose centres lie in it."""
    one, two, three = (
        slice(max(0, int(np.ceil(first))), min(length, int(np.floor(last)) + 1))
        for first, last, length in zip(low, high, shape, strict=True)
    )
    extent = tuple(max(0, side.stop - side.start) for side in (one, two, three))
    return Part(box=(one, two, three), mask=np.ones(extent, dtype=np.bool_), score=score)
