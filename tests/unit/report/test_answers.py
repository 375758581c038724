"""Detections, answers, scores, checks and further inputs in the measurement report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom.sr import Comprehensive3DSR, ComprehensiveSR, EnhancedSR
from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from dicomnode.domain.code import Code
from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Check, Classification, Detection, Findings, Measurement, Provenance
from dicomnode.domain.model import ScoreSpec, Severity, Task
from dicomnode.domain.uid import ResultUids
from dicomnode.report import measurements, segmentation
from dicomnode.report.encode import to_bytes
from dicomnode.report.extent import extent_of

from .conftest import COLUMN_MM, ROW_MM, SEGMENTS, SLICE_MM, findings_in
from .phantoms import enhanced, tilted
from .reading import evaluations, referenced_instances, reread, texts
from .test_measurements import ALGORITHM_FAMILY
from .test_validators import complaints

NODULE = SEGMENTS[2]
UNIT = Code(value="1", scheme="UCUM", meaning="no units")
MALIGNANCY = Code(value="111047", scheme="DCM", meaning="Probability of cancer")
QUESTION = Code(value="404684003", scheme="SCT", meaning="Clinical finding")
PRESENT = Code(value="52101004", scheme="SCT", meaning="Present")
ABSENT = Code(value="2667000", scheme="SCT", meaning="Absent")

BOXES = (
    Detection(number=1, segment=NODULE, score=0.93, low=(2.5, 7.5, 4.5), high=(5.5, 11.5, 7.5)),
    Detection(number=2, segment=NODULE, score=0.41, low=(-0.5, -0.5, 20.5), high=(1.5, 3.5, 25.5)),
)


def without_mask(findings: Findings) -> Findings:
    """What a task other than segmenting finds."""
    volume = findings.segmentation.volume
    empty = replace(findings.segmentation, volume=volume.with_array(np.zeros_like(volume.array)), segments=())
    return replace(findings, segmentation=empty, measurements=(), features=())


def for_task(provenance: Provenance, task: Task, **changes: Any) -> Provenance:
    return replace(provenance, model=replace(provenance.model, task=task, **changes))


def read(ds: Dataset) -> Any:
    return Comprehensive3DSR.from_dataset(reread(ds))


def test_a_detection_is_a_box_on_its_middle_image_with_certainty_and_size(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    found = replace(without_mask(findings), detections=BOXES)
    sr = read(measurements.write(found, for_task(provenance, Task.DETECT), uids, None))
    first, second = sr.content.get_planar_roi_measurement_groups()
    assert (first.tracking_identifier, second.tracking_identifier) == ("Nodule 1", "Nodule 2")
    assert len({first.tracking_uid, second.tracking_uid, *(uids.tracking(n) for n in range(256))}) == 258
    assert first.finding_type.value == "27925004"
    assert first.finding_sites[0].value.value == "39607008"
    rows = {row.name.value: (row.value, row.unit.value) for row in first.get_measurements()}
    assert rows == {
        "111012": (pytest.approx(93.0), "%"),
        "131197000": (pytest.approx(3 * SLICE_MM), "mm"),
        "410668003": (pytest.approx(4 * ROW_MM), "mm"),
        "103355008": (pytest.approx(3 * COLUMN_MM), "mm"),
    }
    assert first.roi.graphic_type.value == "POLYLINE"
    assert first.roi.value.tolist() == [[5, 8], [8, 8], [8, 12], [5, 12], [5, 8]]
    image = first.roi.ContentSequence[0].ReferencedSOPSequence[0]
    assert image.ReferencedSOPInstanceUID == findings.source.datasets[4].SOPInstanceUID
    assert second.roi.value.min() == 0
    assert not any("No candidate" in text for text in texts(sr))


def test_a_box_in_a_rectified_volume_is_drawn_where_the_tilted_image_shows_it(
    provenance: Provenance, uids: ResultUids
) -> None:
    found = replace(without_mask(tilted()), detections=BOXES[:1])
    sr = read(measurements.write(found, for_task(provenance, Task.DETECT), uids, None))
    (group,) = sr.content.get_planar_roi_measurement_groups()
    tilt = found.source.tilt
    assert tilt is not None
    assert group.roi.value[:, 1].min() == pytest.approx(7.5 - tilt.starts[4][0] + 0.5, abs=1e-5)


def test_a_score_outside_0_to_1_is_no_certainty(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    found = replace(without_mask(findings), detections=(replace(BOXES[0], score=7.5),))
    sr = read(measurements.write(found, for_task(provenance, Task.DETECT), uids, None))
    (group,) = sr.content.get_planar_roi_measurement_groups()
    assert "111012" not in {row.name.value for row in group.get_measurements()}


def test_no_detection_is_no_normal_report_and_the_sensitivity_stands_beside(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    model = for_task(provenance, Task.DETECT, sensitivity="91 % of 120 nodules of 4 mm or more")
    sr = read(measurements.write(without_mask(findings), model, uids, None))
    assert texts(sr)[0] == (
        "No candidate found by Chest CT segmentation 1.0.0; not a normal report. "
        "Sensitivity: 91 % of 120 nodules of 4 mm or more"
    )
    assert set(evaluations(sr)) == {("39607008", "260415000"), ("27925004", "260415000")}


def test_an_answer_stands_in_code_with_the_probability_of_every_answer(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    answer = Classification(question=QUESTION, answer=PRESENT, probabilities=((PRESENT, 0.75), (ABSENT, 0.25)))
    found = replace(without_mask(findings), classifications=(answer,))
    sr = read(measurements.write(found, for_task(provenance, Task.CLASSIFY), uids, None))
    group = sr.content.get_image_measurement_groups()[0]
    rows = [(row.name.value, row.value, row.unit.value, row.derivation.value) for row in group.get_measurements()]
    assert rows == [("52101004", 0.75, "1", "122157"), ("2667000", 0.25, "1", "122157")]
    evaluations = [row for row in group.get_qualitative_evaluations() if row.name.value != ALGORITHM_FAMILY]
    assert [(row.name.value, row.value.value) for row in evaluations] == [("404684003", "52101004")]
    assert not any(text.startswith("No ") for text in texts(sr))


def test_scores_are_measurements_of_the_whole_series(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    spec = ScoreSpec(number=0, name=MALIGNANCY, unit=UNIT)
    score = Measurement(segment_number=0, name=spec.name, value=0.125, unit=spec.unit)
    found = replace(without_mask(findings), measurements=(score,))
    sr = read(measurements.write(found, for_task(provenance, Task.SCORE), uids, None))
    group = sr.content.get_image_measurement_groups()[0]
    assert [(row.name.value, row.value, row.unit.value) for row in group.get_measurements()] == [("111047", 0.125, "1")]


def test_a_score_beside_an_empty_mask_does_not_hide_that_nothing_was_found(
    empty_findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    score = Measurement(segment_number=0, name=MALIGNANCY, value=0.125, unit=UNIT)
    sr = read(measurements.write(replace(empty_findings, measurements=(score,)), provenance, uids, None))
    assert texts(sr)[0].startswith("No candidate found")


def test_checks_that_failed_are_warnings_with_what_was_found_and_the_limit(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    checks = (
        Check(rule="slice_thickness_mm", found="4.0 mm", limit="at most 3.0 mm", passed=False, severity=Severity.WARN),
        Check(rule="modality", found="CT", limit="CT", passed=True),
    )
    sr = read(measurements.write(replace(findings, checks=checks), provenance, uids, None))
    assert texts(sr)[1:] == ["Warning: slice thickness mm: 4.0 mm, needed at most 3.0 mm"]


def test_companion_series_are_evidence_and_named_as_source(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    other = findings_in("axial").source
    for number, ds in enumerate(other.datasets):
        ds.SeriesInstanceUID, ds.SOPInstanceUID, ds.Modality = "1.2.826.0.1.99.7", f"1.2.826.0.1.99.7.{number}", "PT"
    seg = segmentation.write(findings, provenance, uids)
    sr = read(measurements.write(replace(findings, companions=(other,)), provenance, uids, seg))
    series = {str(item[1]) for item in sr.get_evidence(current_procedure_only=True)}
    assert series == {findings.source.datasets[0].SeriesInstanceUID, "1.2.826.0.1.99.7", uids.series("seg")}
    assert referenced_instances(sr) >= {str(ds.SOPInstanceUID) for ds in other.datasets}
    assert texts(sr)[-1] == "Source beside the main series: PT 1.2.826.0.1.99.7"
    library = next(item for item in sr.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "111028")
    assert len(library.ContentSequence) == 2


def test_a_companion_of_another_patient_is_an_error(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    other = findings_in("axial").source
    for ds in other.datasets:
        ds.PatientID = "P-2"
    with pytest.raises(EncodingError, match="found 2 patients, needed one"):
        measurements.write(replace(findings, companions=(other,)), provenance, uids, None)


def test_each_segment_has_its_outline_on_the_slice_where_it_is_largest(
    any_findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    seg = segmentation.write(any_findings, provenance, uids)
    sr = read(measurements.write(any_findings, provenance, uids, seg))
    groups = sr.content.get_planar_roi_measurement_groups()
    assert [(group.tracking_identifier, group.tracking_uid) for group in groups] == [
        (group.tracking_identifier, group.tracking_uid) for group in sr.content.get_volumetric_roi_measurement_groups()
    ]
    extent = extent_of(any_findings)
    for group, segment in zip(groups, extent.segments, strict=True):
        index = extent.key_plane(segment.number)
        image = group.roi.ContentSequence[0].ReferencedSOPSequence[0]
        assert image.ReferencedSOPInstanceUID == any_findings.source.datasets[index].SOPInstanceUID
        rows, columns = np.nonzero(any_findings.segmentation.volume.array[index] == segment.number)
        line = group.roi.value
        assert (line[0] == line[-1]).all()
        assert line.min(axis=0).tolist() == [columns.min(), rows.min()]
        assert line.max(axis=0).tolist() == [columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize(
    ("kind", "sop_class"),
    [
        (Comprehensive3DSR, Comprehensive3DSRStorage),
        (ComprehensiveSR, ComprehensiveSRStorage),
        (EnhancedSR, EnhancedSRStorage),
    ],
)
def test_the_same_tree_is_valid_in_every_class_of_report(
    provenance: Provenance, uids: ResultUids, tmp_path: Path, kind: Any, sop_class: str
) -> None:
    findings = replace(
        enhanced(),
        detections=BOXES,
        classifications=(Classification(question=QUESTION, answer=PRESENT, probabilities=((PRESENT, 0.75),)),),
    )
    seg = segmentation.write(findings, provenance, uids)
    ds = measurements.write(findings, provenance, uids, seg, kind)
    assert ds.SOPClassUID == sop_class
    file = tmp_path / "sr.dcm"
    file.write_bytes(to_bytes(ds))
    assert complaints(file) == []
