"""Lesions, diameters, absent numbers and two time points in the structured report."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom.sr import Comprehensive3DSR, ComprehensiveSR, EnhancedSR
from pydicom import Dataset

from dicomnode.domain.finding import Findings, Measurement, Provenance
from dicomnode.domain.response import Comparison, TimePoint
from dicomnode.domain.uid import ResultUids
from dicomnode.report import measurements, segmentation
from dicomnode.report.diameter import on_image
from dicomnode.report.document import Kind
from dicomnode.report.earlier import read_lesions
from dicomnode.report.encode import to_bytes

from .conftest import NODULE, ORIENTATIONS
from .followup import EARLIER, EARLIER_STUDY, LESIONS, compared, measured_lesions
from .phantoms import tilted
from .reading import reread, texts
from .test_validators import complaints, tool

LONG, SHORT, VOLUME = "103339001", "103340004", "118565006"

#: A scheme of one's own is legal (PS3.16 section 8); the checker knows none.
PRIVATE_SCHEME = "Unrecognized defined term = <99DICOMNODE>"


def written(findings: Findings, provenance: Provenance, uids: ResultUids, kind: Kind = Comprehensive3DSR) -> Dataset:
    mask = segmentation.write(findings, provenance, uids)
    return reread(measurements.write(findings, provenance, uids, mask, kind))


def concept(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def container(report: Dataset, code: str) -> list[Dataset]:
    """What stands in a container of the first level; empty without it."""
    return [child for item in report.ContentSequence if concept(item) == code for child in item.ContentSequence]


def identifier(group: Dataset) -> str:
    return next(str(item.TextValue) for item in group.ContentSequence if concept(item) == "112039")


def numbers(group: Dataset) -> dict[str, float]:
    return {
        concept(item): float(item.MeasuredValueSequence[0].FloatingPointValue)
        for item in group.ContentSequence
        if item.ValueType == "NUM" and item.MeasuredValueSequence and item.RelationshipType == "CONTAINS"
    }


def time_point(group: Dataset) -> str:
    return next((str(item.TextValue) for item in group.ContentSequence if concept(item) == "C2348792"), "")


def answers(group: Dataset, name: str) -> list[str]:
    return [
        str(item.ConceptCodeSequence[0].CodeValue)
        for item in group.ContentSequence
        if item.ValueType == "CODE" and concept(item) == name
    ]


@pytest.mark.parametrize("orientation", list(ORIENTATIONS))
def test_a_diameter_is_a_line_on_its_image_as_long_as_its_number(
    orientation: str, provenance: Provenance, uids: ResultUids
) -> None:
    findings = measured_lesions(orientation)
    groups = {identifier(one): one for one in container(written(findings, provenance, uids), "126010")}
    for segment in LESIONS[:3]:
        items = [item for item in groups[f"{segment.label}: diameters"].ContentSequence if item.ValueType == "NUM"]
        assert [concept(item) for item in items] == [LONG, SHORT]
        for item in items:
            (line,) = (child for child in item.ContentSequence if child.ValueType == "SCOORD")
            (image,) = line.ContentSequence
            row = next(
                one
                for one in findings.measurements
                if (one.segment_number, one.name.value) == (segment.number, concept(item))
            )
            assert row.plane is not None
            header = findings.source.datasets[row.plane]
            assert (image.RelationshipType, line.RelationshipType) == ("SELECTED FROM", "INFERRED FROM")
            assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == header.SOPInstanceUID
            # As a viewer places it (PS3.3 C.18.6.1.2, C.7.6.2.1.1): the corner of the first pixel is (0, 0).
            row_mm, column_mm = header.PixelSpacing
            ends = np.array(line.GraphicData, dtype=float).reshape(2, 2) - 0.5
            cosines = np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)
            world = np.array(header.ImagePositionPatient, dtype=float) + ends * (column_mm, row_mm) @ cosines
            assert np.linalg.norm(world[0] - world[1]) == pytest.approx(row.value, abs=1e-4)
            np.testing.assert_allclose(world, row.points_mm, atol=1e-4)


def test_a_point_in_a_rectified_volume_lies_where_the_tilted_image_shows_it() -> None:
    source = tilted().source
    assert source.tilt is not None
    index, place = 3, np.array([3.0, 9.0 + source.tilt.starts[3][0], 5.0, 1.0])
    x, y, z = (np.asarray(source.volume.affine) @ place)[:3]
    np.testing.assert_allclose(on_image(((x, y, z),), index, source), [[5.5, 9.5]], atol=1e-5)


def test_viewers_meet_diameters_then_volume_and_mean_first_and_the_place_last(
    provenance: Provenance, uids: ResultUids
) -> None:
    sr: Any = Comprehensive3DSR.from_dataset(written(measured_lesions(), provenance, uids))
    group = sr.content.get_volumetric_roi_measurement_groups()[0]
    names = [row.name.meaning for row in group.get_measurements()]
    assert names[:4] == ["Long axis", "Short axis", "Volume", "Attenuation Coefficient"]
    assert names[-6:] == ["Depth", "Length", "Width", "Centroid, x", "Centroid, y", "Centroid, z"]


def test_a_number_that_could_not_be_measured_stands_in_code_with_its_reason(
    provenance: Provenance, uids: ResultUids
) -> None:
    findings = measured_lesions()
    ds = written(findings, provenance, uids)
    found = {
        (identifier(group), concept(item), str(item.ConceptCodeSequence[0].CodeValue))
        for group in (*container(ds, "126010"), *container(ds, "126011"))
        for item in group.ContentSequence
        if item.ValueType == "CODE" and concept(item) in {row.name.value for row in findings.absent}
    }
    assert found == {
        ("Nodule 2", "RNU0", "114011"),
        ("Nodule 2", "L0JK", "114011"),
        ("Nodule 2", "C0JK", "114011"),
        ("Nodule 2", "QCFX", "114011"),
        ("Nodule 3", VOLUME, "114007"),
    }
    assert "Not measured of Nodule 3: Volume: the segment has no voxels" in texts(ds)
    assert (
        "Not measured of Nodule 2: Volume of Mesh, Maximum 3D Diameter of a Mesh, Surface Area of Mesh, Sphericity: "
        "the region spans 1 of the slices, needed 3 for a surface" in texts(ds)
    )


def test_highdicom_opens_a_report_with_absent_numbers(provenance: Provenance, uids: ResultUids) -> None:
    sr: Any = Comprehensive3DSR.from_dataset(written(measured_lesions(), provenance, uids))
    second = sr.content.get_volumetric_roi_measurement_groups()[1]
    assert {row.name.value for row in second.get_measurements()} >= {LONG, SHORT, VOLUME}
    assert {(row.name.value, row.value.value) for row in second.get_qualitative_evaluations()} >= {("QCFX", "114011")}


def test_every_group_that_viewers_draw_has_coordinates(provenance: Provenance, uids: ResultUids) -> None:
    findings = compared(measured_lesions(), uids)
    score = Measurement(segment_number=0, name=NODULE, value=1.0, unit=findings.measurements[0].unit)
    ds = written(replace(findings, measurements=(*findings.measurements, score)), provenance, uids)

    def drawn(item: Dataset) -> bool:
        return item.ValueType == "SCOORD" or any(map(drawn, item.get("ContentSequence") or ()))

    by_uid: dict[str, bool] = {}
    for group in container(ds, "126010"):
        uid = next(str(item.UID) for item in group.ContentSequence if concept(item) == "112040")
        by_uid[uid] = by_uid.get(uid, False) or drawn(group)
    assert by_uid
    assert all(by_uid.values())
    assert "Scores of the whole series" in [
        identifier(one) for one in container(ds, "126011") if "ContentSequence" in one
    ]


def test_the_response_stands_in_code_with_its_sums_and_changes(provenance: Provenance, uids: ResultUids) -> None:
    findings = compared(measured_lesions(), uids)
    ds = written(findings, provenance, uids)
    groups = {identifier(one): one for one in container(ds, "126011") if one.ValueType == "CONTAINER"}
    recist = groups["Target lesions by RECIST 1.1"]
    now = next(row.value for row in findings.measurements if row.name.value == LONG)
    assert numbers(recist) == {
        "SUM-DIAM": pytest.approx(now),
        "SUM-DIAM-BASE": pytest.approx(now / 0.6),
        "SUM-DIAM-NADIR": pytest.approx(now / 0.6),
        "CHANGE-BASELINE": pytest.approx(-40),
        "CHANGE-NADIR": pytest.approx(-40),
    }
    assert answers(recist, "112020") == ["112042"]
    assert answers(recist, "370129005") == ["126081"]
    assert answers(groups["Target lesions by RANO"], "112020") == []
    said = texts(ds)
    assert any("by RECIST 1.1: PR, partial response (−40.0 % from baseline); sum of diameters" in text for text in said)
    assert any("dates of treatment" in text for text in said)
    assert "Limit of the comparison: 2025-10-03: slices of 5.0 mm then and 2.5 mm now" in said


def test_each_lesion_says_how_it_changed_and_whether_it_was_there(provenance: Provenance, uids: ResultUids) -> None:
    ds = written(compared(measured_lesions(), uids), provenance, uids)
    groups: dict[str, Dataset] = {}
    for one in container(ds, "126010"):
        groups.setdefault(identifier(one), one)
    first = groups["Nodule 1"]
    assert numbers(first)["CHANGE-LONG"] == pytest.approx(-40)
    assert numbers(first)["CHANGE-VOLUME"] == pytest.approx(100 * (0.6**3 - 1))
    assert numbers(first)["DOUBLING-TIME"] < 0
    assert (answers(first, "112016"), answers(first, "STANDING")) == (["112074"], ["FOUND-AGAIN"])
    assert answers(groups["Nodule 2"], "STANDING") == ["CANDIDATE-NEW"]
    assert answers(groups["Nodule 2"], "112016") == []
    gone = next(
        one for one in container(ds, "126011") if one.ValueType == "CONTAINER" and identifier(one) == "Nodule 3"
    )
    assert answers(gone, "STANDING") == ["NOT-DETECTED"]


def test_both_time_points_are_held_and_cited(provenance: Provenance, uids: ResultUids) -> None:
    findings = compared(measured_lesions(), uids)
    ds = written(findings, provenance, uids)
    assert {time_point(group) for group in container(ds, "126010")} == {"", "2026-01-01"}
    assert all(time_point(group) for group in container(ds, "126010") if "CHANGE-LONG" in numbers(group))
    earlier = [
        one for one in container(ds, "126011") if one.ValueType == "CONTAINER" and time_point(one) == "2025-10-03"
    ]
    long_mm = next(row.value for row in findings.measurements if row.name.value == LONG)
    assert numbers(earlier[0])[LONG] == pytest.approx(long_mm / 0.6)
    assert {identifier(one) for one in earlier} == {"Nodule 1", "Node", "Nodule 3"}
    (study,) = ds.PertinentOtherEvidenceSequence
    assert study.StudyInstanceUID == EARLIER_STUDY
    cited = {
        str(one.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert cited == {one.sop_instance_uid for one in EARLIER}
    assert all(one.StudyInstanceUID != EARLIER_STUDY for one in ds.CurrentRequestedProcedureEvidenceSequence)
    named = [item for item in container(ds, "126011") if item.ValueType in ("COMPOSITE", "IMAGE", "UIDREF")]
    assert [item.ValueType for item in named] == ["UIDREF", "COMPOSITE", "IMAGE"]


def test_the_report_read_back_later_holds_the_lesions_of_its_own_study_alone(
    provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    findings = compared(measured_lesions(), uids)
    file = tmp_path / "sr.dcm"
    file.write_bytes(to_bytes(written(findings, provenance, uids)))
    model = provenance.model
    read = read_lesions([file], [], model.name, model.version, LESIONS)
    assert read is not None
    assert [one.label for one in read] == ["Nodule 1", "Nodule 2", "Node"]
    rows = {(row.segment_number, row.name.value): row.value for row in findings.measurements}
    for lesion, segment in zip(read, LESIONS, strict=False):
        assert lesion.longest_mm == pytest.approx(rows[segment.number, LONG])
        assert lesion.volume_ml == pytest.approx(rows[segment.number, VOLUME])
        assert lesion.tracking_uid == uids.tracking(segment.number)
    assert [one.target for one in read] == [True, False, False]


def test_what_cannot_be_compared_says_why_and_claims_no_change(provenance: Provenance, uids: ResultUids) -> None:
    findings = measured_lesions()
    whole = compared(findings, uids).comparison
    assert whole is not None
    why = "study of 2025-10-03: contrast phase venous then and none now"
    refused = replace(findings, comparison=Comparison(now=whole.now, not_comparable=why))
    ds = written(refused, provenance, uids)
    assert f"Not comparable with earlier studies: {why}" in texts(ds)
    assert [identifier(one) for one in container(ds, "126011")] == ["Nodule 3"], "which lacks its volume, nothing more"
    assert "PertinentOtherEvidenceSequence" not in ds


def test_a_lesion_that_vanished_is_told_where_nothing_is_left(provenance: Provenance, uids: ResultUids) -> None:
    findings = compared(measured_lesions(), uids)
    comparison = findings.comparison
    assert comparison is not None
    empty = replace(
        findings,
        measurements=(),
        segmentation=replace(
            findings.segmentation,
            volume=findings.segmentation.volume.with_array(np.zeros(findings.source.volume.spatial_shape, np.uint8)),
        ),
        comparison=replace(
            comparison,
            now=TimePoint(
                study_instance_uid=comparison.now.study_instance_uid,
                day=comparison.now.day,
                lesions=(),
                measured_by="x",
            ),
        ),
    )
    ds = reread(measurements.write(empty, provenance, uids, None))
    assert container(ds, "126010") == []
    assert len([one for one in container(ds, "126011") if one.ValueType == "CONTAINER"]) >= 3


@pytest.mark.parametrize("kind", [Comprehensive3DSR, ComprehensiveSR, EnhancedSR])
def test_validators_find_nothing_but_the_private_scheme(
    kind: Kind, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    file = tmp_path / "sr.dcm"
    file.write_bytes(to_bytes(written(compared(measured_lesions(), uids), provenance, uids, kind)))
    assert [line for line in complaints(file) if PRIVATE_SCHEME not in line] == []
    done = subprocess.run([tool("dsrdump"), str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'CODE:(,,"Sphericity")=(114011,DCM,"Value indeterminate")' in done.stdout
    assert "E:" not in done.stderr


def test_dcmqi_reads_the_sizes_of_lesions_beside_their_lines(
    provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    file, out = tmp_path / "sr.dcm", tmp_path / "sr.json"
    file.write_bytes(to_bytes(written(compared(measured_lesions(), uids), provenance, uids)))
    subprocess.run(
        [tool("tid1500reader"), "--inputDICOM", file, "--outputMetadata", out], check=True, capture_output=True
    )
    assert out.read_text().count('"Long axis"') >= len(LESIONS) - 1
