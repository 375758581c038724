"""The report that says why there is no result."""

from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.uid import EnhancedSRStorage

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Check, Findings, Provenance
from dicomnode.domain.model import Severity
from dicomnode.domain.uid import ResultUids
from dicomnode.report import refusal
from dicomnode.report.encode import to_bytes

from .conftest import SERIES, STUDY, findings_in
from .phantoms import enhanced
from .reading import referenced_instances, reread, texts

REASON = "series has slices 5.0 mm apart, the model needs at most 3.0 mm"


def bare(number: int, series: str = SERIES, sop_class: str = "1.2.840.10008.5.1.4.1.1.481.3") -> Dataset:
    """A header with nothing but its UIDs."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, f"{series}.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, series
    return ds


def coded_answers(ds: Dataset) -> list[tuple[str, str]]:
    return [
        (item.ConceptNameCodeSequence[0].CodeValue, item.ConceptCodeSequence[0].CodeValue)
        for item in ds.ContentSequence
        if item.ValueType == "CODE" and item.RelationshipType == "CONTAINS"
    ]


def test_a_refusal_is_an_enhanced_sr_with_coded_status_and_the_reason_in_words(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = reread(refusal.write(findings.source.datasets, REASON, provenance, uids))
    assert ds.SOPClassUID == EnhancedSRStorage
    assert (ds.SOPInstanceUID, ds.SeriesInstanceUID) == (uids.instance("refusal"), uids.series("refusal"))
    assert ds.ConceptNameCodeSequence[0].CodeValue not in ("126000", "126001", "126002", "126003")
    assert coded_answers(ds) == [("111065", "111225")]
    assert texts(ds)[0] == f"Not analysed: {REASON}"
    assert "Not for primary diagnosis" in texts(ds)[1]
    assert (ds.PreliminaryFlag, ds.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    assert (str(ds.PatientName), ds.PatientID, ds.IssuerOfPatientID) == ("Müller^Jörg", "P-1", "Hospital")


def test_a_refusal_names_the_series_and_refers_to_all_its_instances(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = reread(refusal.write(findings.source.datasets, REASON, provenance, uids))
    assert referenced_instances(ds) == {str(source.SOPInstanceUID) for source in findings.source.datasets}
    series = [item.UID for item in ds.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "112002"]
    assert series == [SERIES]


@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.481.3", "1.2.3.4.5.999", "1.2.840.10008.5.1.4.1.1.2"])
def test_bare_headers_of_any_class_suffice(provenance: Provenance, uids: ResultUids, sop_class: str) -> None:
    ds = reread(refusal.write([bare(1, sop_class=sop_class)], REASON, provenance, uids))
    evidence = ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert evidence.ReferencedSOPClassUID == sop_class
    assert ds.PatientName == ""


def test_several_series_of_one_study_are_all_named(provenance: Provenance, uids: ResultUids) -> None:
    other = f"{STUDY}.8"
    ds = reread(refusal.write([bare(1), bare(2, other), bare(3)], REASON, provenance, uids))
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    assert [(item.SeriesInstanceUID, len(item.ReferencedSOPSequence)) for item in study.ReferencedSeriesSequence] == [
        (SERIES, 2),
        (other, 1),
    ]


def test_a_reason_in_another_script_survives(provenance: Provenance, uids: ResultUids) -> None:
    ds = reread(refusal.write([bare(1)], "層厚が不足", provenance, uids))
    assert texts(ds)[0] == "Not analysed: 層厚が不足"


def test_the_same_refusal_has_the_same_bytes(provenance: Provenance, uids: ResultUids) -> None:
    first, second = (refusal.write(findings_in("axial").source.datasets, REASON, provenance, uids) for _ in range(2))
    assert to_bytes(first) == to_bytes(second)


def test_two_patients_two_studies_or_no_header_are_errors(provenance: Provenance, uids: ResultUids) -> None:
    stranger, elsewhere = bare(2), bare(2)
    stranger.PatientID, elsewhere.StudyInstanceUID = "P-9", "1.2.9"
    with pytest.raises(EncodingError, match="found 2 patients"):
        refusal.write([bare(1), stranger], REASON, provenance, uids)
    with pytest.raises(EncodingError, match="found 2 studies"):
        refusal.write([bare(1), elsewhere], REASON, provenance, uids)
    with pytest.raises(EncodingError, match="found no header"):
        refusal.write([], REASON, provenance, uids)


def test_every_check_is_shown_with_value_and_limit_those_that_failed_first(
    provenance: Provenance, uids: ResultUids
) -> None:
    checks = (
        Check(rule="modality", found="CT", limit="CT", passed=True),
        Check(rule="slice_spacing", found="5.0 mm", limit="at most 3.0 mm", passed=False),
        Check(rule="noise", found="80 HU", limit="at most 60 HU", passed=False, severity=Severity.WARN),
    )
    assert texts(reread(refusal.write([bare(1)], REASON, provenance, uids, checks)))[2:] == [
        "Check failed: slice spacing: 5.0 mm, needed at most 3.0 mm",
        "Check failed, a warning only: noise: 80 HU, needed at most 60 HU",
        "Check passed: modality: CT, needed CT",
    ]


def test_a_multi_frame_source_is_refused_with_its_object_named_once(provenance: Provenance, uids: ResultUids) -> None:
    (source,) = enhanced().source.datasets
    ds = reread(refusal.write([source], REASON, provenance, uids))
    assert referenced_instances(ds) == {str(source.SOPInstanceUID)}
    assert "SharedFunctionalGroupsSequence" not in ds
