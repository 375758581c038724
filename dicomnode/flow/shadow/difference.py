"""How the answers of two models to the same inputs differ: by label, by score, by answer, by finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from dicomnode.domain.code import Code
from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Findings
from dicomnode.domain.model import Segment
from dicomnode.flow.evaluate.parts import candidates_of
from dicomnode.flow.evaluate.targets import Target
from dicomnode.measure.agreement.detection import detected
from dicomnode.measure.agreement.overlap import dice
from dicomnode.measure.region import voxel_volume_ml
from dicomnode.store.shadow import Difference

#: UCUM of a number without a unit, and of what is counted.
_NONE, _FINDINGS = "1", "{findings}"


def differences(model: Findings, candidate: Findings) -> list[Difference]:
    """Every figure of a comparison; what only one of the two knows stands there without a value.

    Raises
    ------
    Unsuitable
        The two have read the inputs onto different grids, so that their masks cannot be laid over each other.
    """
    shapes = [findings.source.volume.array.shape for findings in (model, candidate)]
    same = shapes[0] == shapes[1] and np.allclose(model.source.volume.affine, candidate.source.volume.affine)
    if not same:
        raise Unsuitable(f"cannot be compared: grids of {shapes[0]} and {shapes[1]} voxels, needed the same")
    return [found for kind in (_labels, _scores, _answers, _found) for found in kind(model, candidate)]


def _labels(model: Findings, candidate: Findings) -> Iterator[Difference]:
    voxel_ml = voxel_volume_ml(model.source.volume)
    first, second = _masks(model), _masks(candidate)
    for key in dict.fromkeys((*first, *second)):
        one, two = first.get(key), second.get(key)
        label, code = (one or two or ("", "", None))[:2]
        volumes = [float(np.count_nonzero(found[2])) * voxel_ml if found else None for found in (one, two)]
        overlap = dice(one[2], two[2]) if one and two else None
        yield Difference(figure="dice", subject=label, code=code, unit=_NONE, value=overlap)
        yield _of("volume", label, code, "ml", *volumes)


_Mask = tuple[str, str, NDArray[np.bool_]]


def _masks(findings: Findings) -> dict[str, _Mask]:
    """What a segment means → its label, its code, its voxels; several segments that mean the same are one."""
    found: dict[str, _Mask] = {}
    for layer in findings.segmentation.layers:
        for segment in layer.segments:
            key, voxels = _meaning(segment), layer.volume.array == segment.number
            before = found.get(key)
            found[key] = (segment.label, _code(segment.type), voxels | before[2] if before else voxels)
    return found


def _meaning(segment: Segment) -> str:
    parts = (segment.type, segment.laterality, segment.anatomic_region)
    return " ".join(_code(part) if part else "-" for part in parts)


def _code(code: Code) -> str:
    return f"{code.scheme} {code.value}"


def _scores(model: Findings, candidate: Findings) -> Iterator[Difference]:
    tables = [
        {(_code(one.name), one.unit.value): one for one in findings.measurements if one.segment_number == 0}
        for findings in (model, candidate)
    ]
    for key in dict.fromkeys((*tables[0], *tables[1])):
        pair = [table.get(key) for table in tables]
        name = next(one.name.meaning for one in pair if one)
        yield _of("score", name, key[0], key[1], *(one.value if one else None for one in pair))


def _answers(model: Findings, candidate: Findings) -> Iterator[Difference]:
    tables = [{_code(one.question): one for one in findings.classifications} for findings in (model, candidate)]
    for key in dict.fromkeys((*tables[0], *tables[1])):
        pair = [table.get(key) for table in tables]
        question = next(one.question.meaning for one in pair if one)
        if pair[0] and pair[1]:
            agree = float(_code(pair[0].answer) == _code(pair[1].answer))
            yield Difference(figure="agreement", subject=question, code=key, unit=_NONE, value=agree)
        probable: list[Mapping[str, tuple[str, float]]] = [
            {_code(answer): (answer.meaning, value) for answer, value in (one.probabilities if one else ())}
            for one in pair
        ]
        for code in dict.fromkeys((*probable[0], *probable[1])):
            told = [table.get(code) for table in probable]
            name = next(one[0] for one in told if one)
            subject = f"{question}: {name}"
            yield _of("probability", subject, code, _NONE, *(one[1] if one else None for one in told))


def _found(model: Findings, candidate: Findings) -> Iterator[Difference]:
    """Boxes by the segment that they are said to hold: how many match, and how many only one of the two has."""
    segments: dict[str, tuple[Segment | None, Segment | None]] = {}
    for place, findings in enumerate((model, candidate)):
        for box in findings.detections:
            before = segments.get(_meaning(box.segment), (None, None))
            segments[_meaning(box.segment)] = (box.segment, before[1]) if place == 0 else (before[0], box.segment)
    for pair in segments.values():
        parts = [
            candidates_of(findings, Target(name=segment.label, segments=(segment,))) if segment else []
            for findings, segment in zip((model, candidate), pair, strict=True)
        ]
        matched = detected(parts[0], parts[1])
        segment = next(one for one in pair if one)
        code = _code(segment.type)
        for words, value in (
            ("found by both", matched.found),
            ("only by the model", len(parts[0]) - matched.found),
            ("only by the candidate", matched.false_positives),
        ):
            subject = f"{segment.label}, {words}"
            yield Difference(figure="findings", subject=subject, code=code, unit=_FINDINGS, value=float(value))


def _of(figure: str, subject: str, code: str, unit: str, one: float | None, two: float | None) -> Difference:
    value = two - one if one is not None and two is not None else None
    return Difference(
        figure=figure, subject=subject, code=code, unit=unit, value=value, model_value=one, candidate_value=two
    )
