"""What takes results back, says that they are late, or tells for whom they are and on how much of a study they rest."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from highdicom.ko import KeyObjectSelectionDocument
from pydicom import Dataset

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import measurements, refusal, rejection, rtstruct, secondary, segmentation
from dicomnode.report.encode import to_bytes
from dicomnode.report.heading import NOT_YET

from .reading import referenced_instances, reread, texts
from .test_validators import ACCEPTED_WARNING, tool

WRONG_SIDE = "the sides are exchanged"


@pytest.fixture
def withdrawn(findings: Findings, provenance: Provenance, uids: ResultUids) -> list[Dataset]:
    """A mask and a report as they were sent."""
    seg = reread(segmentation.write(findings, provenance, uids))
    return [seg, reread(measurements.write(findings, provenance, uids, seg))]


@pytest.mark.parametrize("code", list(rejection.TITLES))
def test_a_rejection_note_names_everything_that_is_rejected_under_the_title_of_its_reason(
    withdrawn: list[Dataset], provenance: Provenance, uids: ResultUids, code: str
) -> None:
    ds = reread(rejection.write(withdrawn, WRONG_SIDE, rejection.TITLES[code], provenance, uids))
    note = KeyObjectSelectionDocument.from_dataset(ds)
    assert (
        ds.ConceptNameCodeSequence[0].CodeValue == {"quality": "113001", "safety": "113037", "worklist": "113038"}[code]
    )
    rejected = {str(one.SOPInstanceUID) for one in withdrawn}
    assert referenced_instances(ds) == rejected
    assert {
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in note.content.get_references()
    } == rejected
    assert WRONG_SIDE.encode() in to_bytes(ds)
    assert (str(ds.PatientName), ds.PatientID, ds.IssuerOfPatientID) == ("Müller^Jörg", "P-1", "Hospital")
    assert (ds.Modality, ds.StudyInstanceUID) == ("KO", withdrawn[0].StudyInstanceUID)


def test_dciodvfy_finds_nothing_in_what_takes_results_back(
    withdrawn: list[Dataset], provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    code = rejection.TITLES["safety"]
    for number, ds in enumerate(
        (
            rejection.write(withdrawn, WRONG_SIDE, code, provenance, uids),
            refusal.withdrawal(withdrawn, WRONG_SIDE, code, provenance, uids),
            refusal.write(withdrawn, "late", provenance, uids, heading=NOT_YET),
        )
    ):
        file = tmp_path / f"{number}.dcm"
        file.write_bytes(to_bytes(ds))
        done = subprocess.run([tool("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
        kinds = ("KeyObjectSelectionDocument", "EnhancedSR")
        said = [line for line in done.stderr.splitlines() if line.strip() and ACCEPTED_WARNING not in line]
        assert [line for line in said if line not in kinds] == []


def test_a_report_withdraws_by_name_and_code_what_an_archive_cannot_reject(
    withdrawn: list[Dataset], provenance: Provenance, uids: ResultUids
) -> None:
    ds = reread(refusal.withdrawal(withdrawn, WRONG_SIDE, rejection.TITLES["safety"], provenance, uids))
    assert texts(ds)[0] == f"Withdrawn: {WRONG_SIDE}"
    assert all(any(str(one.SOPInstanceUID) in text for text in texts(ds)) for one in withdrawn)
    assert "must not be used" in texts(ds)[1]
    assert referenced_instances(ds) == {str(one.SOPInstanceUID) for one in withdrawn}
    values = [item.ConceptCodeSequence[0].CodeValue for item in ds.ContentSequence if item.ValueType == "CODE"]
    assert "113037" in values
    assert "withdrawn" in ds.SeriesDescription and ds.SeriesInstanceUID != uids.series("refusal")


def test_nothing_is_rejected_for_two_studies_at_once(
    withdrawn: list[Dataset], provenance: Provenance, uids: ResultUids
) -> None:
    withdrawn[1].StudyInstanceUID = "1.2.3.999"
    with pytest.raises(EncodingError, match="studies"):
        rejection.write(withdrawn, WRONG_SIDE, rejection.TITLES["quality"], provenance, uids)


def test_a_missed_deadline_is_told_by_objects_of_its_own(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    sources = findings.source.datasets
    late = reread(refusal.write(sources, "the deadline was missed", provenance, uids, heading=NOT_YET))
    final = reread(refusal.write(sources, "too thin", provenance, uids))
    assert texts(late)[0] == "Not analysed yet: the deadline was missed"
    assert late.SOPInstanceUID != final.SOPInstanceUID and late.SeriesInstanceUID == final.SeriesInstanceUID
    picture = reread(secondary.refusal(sources, "the deadline was missed", provenance, uids, heading=NOT_YET))
    assert picture.ImageComments == "NOT ANALYSED YET"


def _reports(findings: Findings, provenance: Provenance, uids: ResultUids) -> list[Dataset]:
    return [
        reread(measurements.write(findings, provenance, uids, None)),
        reread(refusal.write(findings.source.datasets, "too thin", provenance, uids)),
    ]


def test_every_report_says_how_complete_the_study_was(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    words = "3 of 5 expected instances in 1 series (ImagesInAcquisition); gave up 900 s after the last object"
    for ds in _reports(findings, replace(provenance, received=words), uids):
        assert any(words in text for text in texts(ds))
    for ds in _reports(findings, provenance, uids):
        assert not any("as received" in text for text in texts(ds)), "nobody waited for files given by hand"


Write = Callable[[Findings, Provenance, ResultUids], Dataset | None]


@pytest.mark.parametrize(
    "write",
    [
        segmentation.write,
        rtstruct.write,
        lambda findings, provenance, uids: measurements.write(findings, provenance, uids, None),
        lambda findings, provenance, uids: secondary.write(findings, provenance, uids)[0],
        lambda findings, provenance, uids: refusal.write(findings.source.datasets, "too thin", provenance, uids),
    ],
    ids=["seg", "rtstruct", "sr", "picture", "refusal"],
)
def test_research_is_marked_in_every_object_and_what_is_clinical_is_not(
    findings: Findings, provenance: Provenance, uids: ResultUids, write: Write
) -> None:
    research = write(findings, provenance, uids)
    clinical = write(findings, replace(provenance, research=False), uids)
    assert research is not None and clinical is not None
    assert "(research)" in research.SeriesDescription and b"RESEARCH ONLY" in to_bytes(research)
    assert "research" not in clinical.SeriesDescription and b"RESEARCH" not in to_bytes(clinical)
    assert b"ot for primary diagnosis" in to_bytes(clinical)


def test_a_withdrawal_names_what_is_withdrawn_by_series_kind_and_time(
    withdrawn: list[Dataset], provenance: Provenance, uids: ResultUids
) -> None:
    ds = reread(refusal.withdrawal(withdrawn, WRONG_SIDE, rejection.TITLES["quality"], provenance, uids))
    seg, sr = withdrawn
    for one, kind in ((seg, "Segmentation Storage"), (sr, "Comprehensive 3D SR Storage")):
        (text,) = [text for text in texts(ds) if str(one.SOPInstanceUID) in text]
        date, time = str(one.InstanceCreationDate), str(one.InstanceCreationTime)
        told = f"{date[:4]}-{date[4:6]}-{date[6:]} {time[:2]}:{time[2:4]}:{time[4:6]}"
        assert text == f"Withdrawn: {one.SeriesDescription}, {kind} of {told}, object {one.SOPInstanceUID}"
    seg.InstanceCreationDate, sr.InstanceCreationDate = "", None
    report = reread(refusal.withdrawal(withdrawn, WRONG_SIDE, rejection.TITLES["quality"], provenance, uids))
    assert any(f"{kind}, object" in text for text in texts(report))
