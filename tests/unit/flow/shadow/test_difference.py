"""Differences of answers are what a calculation by hand says they are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import highdicom as hd
import numpy as np
import pytest

from dicomnode.domain.code import Code
from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Classification, Detection, Measurement, Segmentation
from dicomnode.domain.model import Segment
from dicomnode.flow.shadow.difference import differences
from dicomnode.flow.shadow.summary import summed_up
from dicomnode.store.shadow import Compared, Difference

MASS = Code(value="4147007", scheme="SCT", meaning="Mass")
LUNG = Code(value="39607008", scheme="SCT", meaning="Lung")
RISK = Code(value="1", scheme="99T", meaning="Risk")
YES, NO = (Code(value=word, scheme="99T", meaning=word) for word in ("yes", "no"))


def _segment(number: int, kind: Code, label: str) -> Segment:
    return Segment(number=number, label=label, category=MASS, type=kind)


def _findings(labels: dict[int, tuple[Code, str, slice]], shape: int = 10, **more: Any) -> Any:
    array = np.zeros((shape, 10, 10), np.uint8)
    for number, (_kind, _label, where) in labels.items():
        array[where] = number
    volume = hd.Volume(array, np.diag([2.0, 1.0, 1.0, 1.0]), coordinate_system="PATIENT")
    segments = tuple(_segment(number, kind, label) for number, (kind, label, _where) in labels.items())
    known = {"measurements": (), "classifications": (), "detections": (), **more}
    return SimpleNamespace(
        source=SimpleNamespace(volume=volume), segmentation=Segmentation(volume=volume, segments=segments), **known
    )


def _by(found: list[Difference]) -> dict[tuple[str, str], Difference]:
    return {(one.figure, one.subject): one for one in found}


def test_labels_are_paired_by_what_they_mean_and_not_by_their_numbers() -> None:
    model = _findings({1: (MASS, "Mass", slice(0, 4)), 2: (LUNG, "Lung", slice(6, 8))})
    candidate = _findings({1: (LUNG, "Lungs", slice(6, 8)), 2: (MASS, "Tumour", slice(2, 4))})
    found = _by(differences(model, candidate))
    assert found["dice", "Mass"].value == pytest.approx(2 * 200 / (400 + 200))
    assert found["dice", "Lung"].value == 1.0
    volume = found["volume", "Mass"]
    assert (volume.model_value, volume.candidate_value, volume.value) == pytest.approx((0.8, 0.4, -0.4))
    assert volume.unit == "ml"


def test_a_label_of_one_model_alone_has_no_value() -> None:
    found = _by(differences(_findings({1: (MASS, "Mass", slice(0, 4))}), _findings({})))
    assert found["dice", "Mass"].value is None
    assert found["volume", "Mass"].value is None and found["volume", "Mass"].candidate_value is None


def test_scores_and_answers_are_subtracted_by_their_codes() -> None:
    score = [Measurement(segment_number=0, name=RISK, value=value, unit=NO) for value in (0.25, 0.75)]
    asked = [
        Classification(question=MASS, answer=answer, probabilities=((YES, yes), (NO, 1 - yes)))
        for answer, yes in ((YES, 0.875), (NO, 0.25))
    ]
    pair = [
        _findings({}, measurements=(one,), classifications=(other,)) for one, other in zip(score, asked, strict=True)
    ]
    found = _by(differences(pair[0], pair[1]))
    assert found["score", "Risk"].value == 0.5 and found["score", "Risk"].unit == "no"
    assert found["agreement", "Mass"].value == 0.0
    assert found["probability", "Mass: yes"].value == -0.625


def test_boxes_that_meet_are_one_finding() -> None:
    lesion = _segment(1, MASS, "Mass")

    def boxes(*rows: float) -> tuple[Detection, ...]:
        return tuple(
            Detection(number=n, segment=lesion, score=0.9, low=(1.5, row, 1.5), high=(4.5, row + 2, 4.5))
            for n, row in enumerate(rows, start=1)
        )

    found = _by(differences(_findings({}, detections=boxes(0.5, 5.5)), _findings({}, detections=boxes(0.5))))
    assert {subject: one.value for (_figure, subject), one in found.items()} == {
        "Mass, found by both": 1.0, "Mass, only by the model": 1.0, "Mass, only by the candidate": 0.0,
    }  # fmt: skip


def test_masks_on_different_grids_are_not_laid_over_each_other() -> None:
    with pytest.raises(Unsuitable, match="grids"):
        differences(_findings({}), _findings({}, shape=11))


def test_bias_and_limits_are_those_of_bland_and_altman() -> None:
    values = (1.0, 3.0, -2.0, 4.0)
    rows = [
        Compared(
            rule="r", model="m", candidate="c", version="2", study_instance_uid="1", at="T", reason="",
            model_seconds=1.0, candidate_seconds=float(number),
            differences=(Difference(figure="volume", subject="Lung", code="x", unit="ml", value=value),),
        )
        for number, value in enumerate(values)
    ]  # fmt: skip
    (tried,) = summed_up(rows)
    (row,) = tried.figures
    spread = 1.96 * (np.var(values, ddof=1)) ** 0.5
    assert (row.n, row.median, row.bias) == (4, 2.0, 1.5)
    assert (row.low, row.high) == pytest.approx((1.5 - spread, 1.5 + spread))
    assert tried.candidate_seconds == 1.5
