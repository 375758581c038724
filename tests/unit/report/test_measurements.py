"""The measurement report: groups, codes, remarks, references, identity."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from highdicom.sr import Comprehensive3DSR
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import Comprehensive3DSRStorage

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import measurements, refusal, rtstruct, segmentation
from dicomnode.report.encode import to_bytes
from dicomnode.report.extent import extent_of
from dicomnode.report.provenance import DISCLAIMER

from .conftest import SERIES, findings_in
from .reading import evaluations, referenced_instances, reread, texts

#: highdicom takes every CODE of a group that it does not know for an evaluation.
ALGORITHM_FAMILY = "111000"


def report(findings: Findings, provenance: Provenance, uids: ResultUids, *, with_seg: bool = True) -> Any:
    """The SR after a round trip, as highdicom reads it."""
    seg = segmentation.write(findings, provenance, uids) if with_seg else None
    return Comprehensive3DSR.from_dataset(reread(measurements.write(findings, provenance, uids, seg)))


def test_each_present_segment_has_a_group_with_its_reference_and_values(
    any_findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    sr = report(any_findings, provenance, uids)
    groups = sr.content.get_volumetric_roi_measurement_groups()
    assert [(group.tracking_identifier, group.tracking_uid) for group in groups] == [
        ("Lung right", uids.tracking(1)),
        ("Lung left", uids.tracking(2)),
        ("Nodule", uids.tracking(5)),
    ]
    for group, (number, position) in zip(groups, ((1, 1), (2, 2), (5, 3)), strict=True):
        reference = group.referenced_segment[0]
        assert reference.referenced_sop_instance_uid == uids.instance("seg")
        assert reference.referenced_segment_numbers == [position]
        rows = [row for row in any_findings.measurements if row.segment_number == number]
        expected = [row.value for row in sorted(rows, key=lambda row: row.name.value == "RNU0")]
        assert [row.value for row in group.get_measurements()] == expected


def test_a_group_names_finding_category_site_side_and_source_series(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    right, _, nodule = report(findings, provenance, uids).content.get_volumetric_roi_measurement_groups()
    assert (right.finding_category.value, right.finding_type.value) == ("91723000", "39607008")
    (site,) = right.finding_sites
    assert (site.value.value, site.laterality.value) == ("39607008", "24028007")
    assert nodule.finding_sites[0].value.value == "39607008"
    assert nodule.finding_sites[0].laterality is None
    series = [item.UID for item in right[0].ContentSequence if item.ValueType == "UIDREF"]
    assert series[-1] == SERIES


def test_measurements_carry_unit_method_and_derivation(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    group = report(findings, provenance, uids).content.get_volumetric_roi_measurement_groups()[0]
    volume, attenuation, mesh = group.get_measurements()
    assert (volume.name.value, volume.unit.value, volume.method.value) == ("118565006", "cm3", "126030")
    assert (mesh.name.value, mesh.name.scheme_designator) == ("RNU0", "IBSI")
    assert (attenuation.unit.value, attenuation.derivation.value) == ("[hnsf'U]", "373098007")


def test_the_document_is_complete_unverified_preliminary_and_titled_imaging_measurement_report(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = reread(measurements.write(findings, provenance, uids, None))
    assert ds.SOPClassUID == Comprehensive3DSRStorage
    assert (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    assert ds.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert (ds.SOPInstanceUID, ds.SeriesInstanceUID) == (uids.instance("sr"), uids.series("sr"))
    assert ds.CodingSchemeIdentificationSequence[0].CodingSchemeUID == "1.2.840.10008.2.16.13"
    assert str(ds.PatientName) == "Müller^Jörg"


def test_warnings_and_the_disclaimer_are_comments(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    warned = replace(
        findings, warnings=("右 lung is small",), source=replace(findings.source, warnings=("gantry tilt 3°",))
    )
    assert texts(reread(measurements.write(warned, provenance, uids, None))) == [
        DISCLAIMER,
        "Warning: gantry tilt 3°",
        "Warning: 右 lung is small",
    ]


def test_an_empty_mask_is_reported_as_not_detected_and_not_as_normal(
    empty_findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    sr = report(empty_findings, provenance, uids)
    assert sr.content.get_volumetric_roi_measurement_groups() == []
    assert evaluations(sr) == [("39607008", "260415000"), ("27925004", "260415000")]
    title = sr.ConceptNameCodeSequence[0].CodeValue
    assert title != "126000", "OHIF shows a report of that title without contours as a black viewport"
    assert texts(sr)[0] == "No candidate found by Chest CT segmentation 1.0.0; not a normal report."


def test_without_seg_the_values_stand_in_groups_without_region_and_nothing_is_called_absent(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    sr = report(findings, provenance, uids, with_seg=False)
    assert sr.content.get_volumetric_roi_measurement_groups() == []
    groups = sr.content.get_image_measurement_groups()
    assert [len(group.get_measurements()) for group in groups] == [3, 3, 3]
    assert not any("No candidate" in text for text in texts(sr))
    assert uids.instance("seg") not in referenced_instances(sr)


def test_no_group_of_measurements_lacks_coordinates_beside_its_outline(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    sr = report(findings, provenance, uids)
    assert sr.content.get_image_measurement_groups() == [], "one group without coordinates blanks all others in OHIF"
    outlined = {group.tracking_uid for group in sr.content.get_planar_roi_measurement_groups()}
    assert outlined == {group.tracking_uid for group in sr.content.get_volumetric_roi_measurement_groups()} != set()


def test_values_that_are_not_finite_are_left_out(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    first, second, *rest = findings.measurements
    broken = replace(findings, measurements=(replace(first, value=math.nan), replace(second, value=math.inf), *rest))
    groups = report(broken, provenance, uids).content.get_volumetric_roi_measurement_groups()
    assert [len(group.get_measurements()) for group in groups] == [1, 3, 3]


def test_the_evidence_is_the_whole_source_and_the_seg_and_nothing_else(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    sr = report(findings, provenance, uids)
    own = {str(ds.SOPInstanceUID) for ds in findings.source.datasets} | {uids.instance("seg")}
    assert referenced_instances(sr) == own
    assert {str(item[2]) for item in sr.get_evidence(current_procedure_only=True)} == own


def test_the_image_library_holds_the_slices_where_segments_are_largest(findings: Findings) -> None:
    array = findings.segmentation.volume.array
    largest = {int((array == number).sum(axis=(1, 2)).argmax()) for number in (1, 2, 5)}
    assert set(measurements.key_slices(findings, extent_of(findings))) == largest


def test_a_later_report_names_its_predecessor(findings: Findings, replacing: Provenance, uids: ResultUids) -> None:
    ds = reread(measurements.write(findings, replacing, uids, None))
    (study,) = ds.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (instance,) = series.ReferencedSOPSequence
    assert (series.SeriesInstanceUID, instance.ReferencedSOPInstanceUID) == ("2.25.11", "2.25.12")


def test_a_later_report_names_what_every_destination_has_in_place_of_its_predecessor(
    findings: Findings, replacing: Provenance, uids: ResultUids
) -> None:
    assert replacing.predecessor is not None
    other = replace(replacing.predecessor, series_instance_uid="2.25.21", sop_instance_uid="2.25.22")
    prior = replace(replacing.predecessor, others=(other,))
    ds = reread(measurements.write(findings, replace(replacing, predecessor=prior), uids, None))
    named = [
        str(instance.ReferencedSOPInstanceUID)
        for study in ds.PredecessorDocumentsSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]
    assert named == ["2.25.12", "2.25.22"]


def test_a_later_result_says_so_in_words_in_everything_that_a_reader_gets(
    findings: Findings, provenance: Provenance, replacing: Provenance, uids: ResultUids
) -> None:
    def said(who: Provenance) -> list[str]:
        report, notice = (
            reread(measurements.write(findings, who, uids, None)),
            reread(refusal.write(findings.source.datasets, "late", who, uids)),
        )
        seg, contours = segmentation.write(findings, who, uids), rtstruct.write(findings, who, uids)
        assert seg is not None and contours is not None and len(seg.ContentDescription) <= 64
        return [" ".join(texts(report)), " ".join(texts(notice)), seg.ContentDescription,
                contours.StructureSetDescription]  # fmt: skip

    assert not any("SUPERSEDES" in words for words in said(provenance))
    assert all("SUPERSEDES" in words for words in said(replacing))


def test_the_request_of_the_source_is_the_request_of_the_report(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    item = Dataset()
    item.RequestedProcedureID, item.RequestedProcedureDescription = "RP-5", "CT thorax"
    for ds in findings.source.datasets:
        ds.RequestAttributesSequence = Sequence([item])
    (request,) = reread(measurements.write(findings, provenance, uids, None)).ReferencedRequestSequence
    assert (request.RequestedProcedureID, request.AccessionNumber) == ("RP-5", "A-17")
    assert request.ReferencedStudySequence == Sequence()


def test_the_same_analysis_has_the_same_bytes(provenance: Provenance, uids: ResultUids) -> None:
    first, second = (measurements.write(findings_in("axial"), provenance, uids, None) for _ in range(2))
    assert to_bytes(first) == to_bytes(second)


def test_two_patients_are_an_error(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    findings.source.datasets[3].PatientID = "P-2"
    with pytest.raises(EncodingError, match="found 2 patients, needed one"):
        measurements.write(findings, provenance, uids, None)
