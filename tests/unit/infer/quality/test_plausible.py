"""What a result must be to be believed: sides, sizes, pieces, places and scores, in the patient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from highdicom import Volume

from dicomnode.domain.code import Code
from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Check, Detection, Measurement, Segmentation, SourceSeries, planes_of
from dicomnode.domain.model import CheckSpec, ModelSpec, ScoreSpec, Severity
from dicomnode.infer.bundle.limits import SegmentCounts, SegmentInside, SegmentRange, SegmentSide
from dicomnode.infer.quality import gate, plausible

Make = Callable[..., ModelSpec]
Box = tuple[slice, ...]

# In voxels of the phantom: 14 slices of 2 mm, 24 rows of 1.5 mm, 30 columns of 1.25 mm; x grows with the column.
RIGHT = (slice(3, 11), slice(4, 20), slice(2, 12))
LEFT = (slice(3, 11), slice(4, 20), slice(16, 28))
NOWHERE = (slice(0, 0),) * 3


def result(phantom: Volume, spec: ModelSpec, first: Box, second: Box) -> Segmentation:
    labels = np.zeros(phantom.array.shape, dtype=np.uint8)
    labels[first] = 1
    labels[second] = 2
    return Segmentation(volume=phantom.with_array(labels), segments=spec.segments)


def stating(spec: ModelSpec, rule: str, limit: Any, severity: Severity = Severity.BLOCK) -> ModelSpec:
    """The model with this limit alone."""
    silent = (CheckSpec(rule="present", limit=()), CheckSpec(rule="whole", limit=()))
    stated = CheckSpec(rule=rule, limit=limit, severity=severity)
    return replace(spec, plausible=(*(one for one in silent if one.rule != rule), stated))


def doubts(found: Segmentation, spec: ModelSpec, **more: Any) -> list[str]:
    return [check.text for check in plausible.check(found, spec, **more) if not check.passed]


def only(checks: tuple[Check, ...]) -> Check:
    (check,) = checks
    return check


def test_sides_that_are_swapped_are_not_believed(phantom: Volume, bundle: Make) -> None:
    spec = bundle()
    assert gate.require(plausible.check(result(phantom, spec, RIGHT, LEFT), spec), "result") == ()
    said = (
        r"result: right of: Right thing lies at x = 7 mm and Left thing at x = -12 mm, "
        r"needed Right thing at smaller x \(LPS\); else the orientation of the images is not believed"
    )
    with pytest.raises(Unsuitable, match=said):
        gate.require(plausible.check(result(phantom, spec, LEFT, RIGHT), spec), "result")


def test_sides_are_judged_in_the_patient_and_not_in_the_array(phantom: Volume, bundle: Make) -> None:
    spec = bundle()
    right = result(phantom, spec, RIGHT, LEFT)
    mirrored = Segmentation(volume=right.volume.flip_spatial(2), segments=spec.segments)
    assert doubts(mirrored, spec) == []


def test_a_missing_segment_is_a_doubt_and_no_reason_to_disbelieve(phantom: Volume, bundle: Make) -> None:
    spec = bundle()
    checks = plausible.check(result(phantom, spec, NOWHERE, RIGHT), spec)
    assert gate.require(checks, "result") == ("present: Right thing: nothing found, needed one voxel or more",)


def test_an_unusual_volume_is_a_doubt(phantom: Volume, bundle: Make) -> None:
    spec = bundle()
    speck = (slice(3, 5), slice(4, 6), slice(2, 5))
    assert doubts(result(phantom, spec, speck, LEFT), spec) == ["volume ml: Right thing: 0.045 ml, needed 1 to 900 ml"]


def test_a_segment_on_the_outermost_slices_may_be_cut_off(phantom: Volume, bundle: Make) -> None:
    spec = bundle()
    both = (slice(0, 14), *RIGHT[1:])
    top = (slice(9, 14), *LEFT[1:])
    checks = plausible.check(result(phantom, spec, both, top), spec)
    assert gate.require(checks, "result") == (
        "whole: Right thing reaches the first and last slice and may be cut off there, needed free slices at both ends",
        "whole: Left thing reaches the last slice and may be cut off there, needed free slices at both ends",
    )


def test_the_bundle_may_ask_less_or_more_of_presence_and_wholeness(phantom: Volume, bundle: Make) -> None:
    spec = bundle()
    found = result(phantom, spec, NOWHERE, (slice(9, 14), *LEFT[1:]))
    lenient = (CheckSpec(rule="present", limit=(2,)), CheckSpec(rule="whole", limit=(1,)))
    assert doubts(found, replace(spec, plausible=lenient)) == []
    strict = replace(spec, plausible=(CheckSpec(rule="present", limit=(1,), severity=Severity.BLOCK),))
    with pytest.raises(Unsuitable, match="Right thing: nothing found"):
        gate.require(plausible.check(found, strict), "result")


@pytest.mark.parametrize(("range_", "passed"), [((1, 1), False), ((2, 2), True), ((0, 5), True), ((3, 9), False)])
def test_pieces_that_meet_at_an_edge_alone_are_two(
    phantom: Volume, bundle: Make, range_: tuple[int, int], passed: bool
) -> None:
    spec = stating(bundle(), "pieces", (SegmentCounts(segment=1, range=range_),))
    found = result(phantom, spec, RIGHT, NOWHERE)
    found.volume.array[3:11, 20:23, 12:14] = 1
    check = only(plausible.check(found, spec))
    assert (check.passed, check.found) == (passed, "Right thing: 2 pieces")
    assert check.limit == f"{range_[0]} to {range_[1]} pieces"


def test_a_segment_that_was_not_found_has_no_pieces(phantom: Volume, bundle: Make) -> None:
    spec = stating(bundle(), "pieces", (SegmentCounts(segment=1, range=(1, 2)),))
    assert doubts(result(phantom, spec, NOWHERE, LEFT), spec) == ["pieces: Right thing: 0 pieces, needed 1 to 2 pieces"]


@pytest.mark.parametrize(("range_mm", "passed"), [((10, 16), True), ((17, 30), False)])
def test_a_segment_is_as_long_as_its_slices(
    phantom: Volume, bundle: Make, range_mm: tuple[float, float], passed: bool
) -> None:
    spec = stating(bundle(), "length_mm", (SegmentRange(segment=1, range=range_mm),))
    check = only(plausible.check(result(phantom, spec, RIGHT, LEFT), spec))
    assert (check.passed, check.found) == (passed, "Right thing: 16 mm")


def test_a_side_is_that_of_the_grid_or_better_of_the_body(phantom: Volume, bundle: Make) -> None:
    spec = stating(bundle(), "side", (SegmentSide(segment=1, side="right"),))
    middle = (slice(3, 11), slice(4, 20), slice(10, 15))
    found = result(phantom, spec, middle, NOWHERE)
    # Columns 10 to 14 lie 2.5 columns of 1.25 mm right of the middle of 30 columns.
    check = only(plausible.check(found, spec))
    assert (check.passed, check.found) == (True, "Right thing lies 3 mm right of the middle of the body")
    body = np.full(phantom.array.shape, -1000, dtype=np.int16)
    body[..., 2:10] = 40
    source = SourceSeries(volume=phantom.with_array(body), planes=planes_of(()), unit="[hnsf'U]")
    check = only(plausible.check(found, spec, source=source))
    assert not check.passed
    assert check.found.endswith("mm left of the middle of the body")
    assert check.limit == "right"


def test_the_middle_of_an_image_of_air_is_that_of_the_grid(phantom: Volume, bundle: Make) -> None:
    spec = stating(bundle(), "side", (SegmentSide(segment=1, side="right"),))
    air = phantom.with_array(np.full(phantom.array.shape, -1000, dtype=np.int16))
    source = SourceSeries(volume=air, planes=planes_of(()), unit="[hnsf'U]")
    assert only(plausible.check(result(phantom, spec, RIGHT, LEFT), spec, source=source)).passed


@pytest.mark.parametrize(
    ("first_column", "share", "passed", "found"),
    [(4, 0.9, True, "100%"), (10, 0.9, False, "50%"), (10, 0.5, True, "50%"), (20, 0.9, False, "0%")],
)
def test_a_lesion_lies_in_the_box_of_its_organ(
    phantom: Volume, bundle: Make, first_column: int, share: float, passed: bool, found: str
) -> None:
    spec = stating(bundle(), "inside", (SegmentInside(segment=2, of=1, share=share),))
    organ = (slice(2, 12), slice(2, 22), slice(2, 12))
    lesion = (slice(4, 8), slice(4, 8), slice(first_column, first_column + 4))
    check = only(plausible.check(result(phantom, spec, organ, lesion), spec))
    assert (check.passed, check.found) == (passed, f"{found} of Left thing inside Right thing")
    assert check.limit == f"{share:.0%} or more"


def test_a_lesion_without_its_organ_is_in_no_place(phantom: Volume, bundle: Make) -> None:
    spec = stating(bundle(), "inside", (SegmentInside(segment=2, of=1, share=0.9),))
    check = only(plausible.check(result(phantom, spec, NOWHERE, LEFT), spec))
    assert (check.passed, check.found) == (False, "0% of Left thing inside Right thing")


@pytest.mark.parametrize(("count", "passed"), [(0, True), (3, True), (4, False)])
def test_a_flood_of_detections_is_a_doubt(phantom: Volume, bundle: Make, count: int, passed: bool) -> None:
    spec = bundle()
    found = [
        Detection(number=number, segment=spec.segments[0], score=0.9, low=(0, 0, 0), high=(1, 1, 1))
        for number in range(1, count + 1)
    ]
    spec = stating(spec, "detections", (0, 3), Severity.WARN)
    nothing = Segmentation(volume=result(phantom, spec, NOWHERE, NOWHERE).volume, segments=())
    check = only(plausible.check(nothing, spec, detections=found))
    assert (check.passed, check.severity) == (passed, Severity.WARN)
    assert check.text == f"detections: {count} detections, needed 0 to 3 detections"


@pytest.mark.parametrize(("value", "passed"), [(0.4, True), (1.7, False)])
def test_a_score_outside_its_range_is_a_doubt_without_being_asked(
    phantom: Volume, bundle: Make, value: float, passed: bool
) -> None:
    name = Code(value="1", scheme="99TEST", meaning="Risk of progression")
    unit = Code(value="1", scheme="UCUM", meaning="no units")
    spec = replace(bundle(), scores=(ScoreSpec(number=0, name=name, unit=unit, range=(0.0, 1.0)),), plausible=())
    nothing = Segmentation(volume=result(phantom, spec, NOWHERE, NOWHERE).volume, segments=())
    score = Measurement(segment_number=0, name=name, value=value, unit=unit)
    check = only(plausible.check(nothing, spec, scores=[score]))
    assert (check.passed, check.severity) == (passed, Severity.WARN)
    assert check.found == f"Risk of progression: {value:g}"
    assert check.limit == "0 to 1"
