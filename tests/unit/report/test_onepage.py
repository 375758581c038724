"""The one-page PDF: its text can be read and searched, and archives file it as a document."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import onepage
from dicomnode.report.encode import to_bytes
from dicomnode.report.page import pictures_of
from dicomnode.report.picture import Picture

from .conftest import SHAPE, STUDY, findings_in, with_headers
from .phantoms import SOURCES
from .reading import referenced_instances, reread
from .test_validators import ACCEPTED_WARNING, tool

ARABIC = "قباني^لنزار"


def written(findings: Findings, provenance: Provenance, uids: ResultUids, pictures: Sequence[Picture] = ()) -> Dataset:
    return reread(onepage.write(findings, provenance, uids, pictures))


def document(ds: Dataset) -> bytes:
    """The PDF without its padding."""
    return bytes(ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength])


def text_of(ds: Dataset, folder: Path) -> str:
    """What poppler reads on the page."""
    file = folder / "page.pdf"
    file.write_bytes(document(ds))
    done = subprocess.run([tool("pdftotext"), "-layout", str(file), "-"], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_document_is_one_page_with_its_fonts_and_pictures_inside(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    data = document(written(findings, provenance, uids, pictures_of(findings, provenance)))
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", data)) == 1
    assert b"/MediaBox [ 0 0 595.27" in data
    assert b"/FontFile2" in data
    assert b"DejaVuSans" in data
    assert data.count(b"/Subtype /Image") == 3


def test_numbers_names_and_reservations_can_be_read_as_text(
    findings: Findings, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    warned = replace(findings, warnings=("motion on 3 slices",))
    text = text_of(written(warned, provenance, uids), tmp_path)
    for expected in (
        "AI result (research): Chest CT segmentation",
        "Not for primary diagnosis",
        "Müller, Jörg · ID P-1 · born 1960-01-02",
        "chest-ct 1.0.0 (demo) · dicomnode 0.1.0 on DICOMNODE",
        "Warning: motion on 3 slices",
        "−812 HU",
        "4.00 ml",
        "Lung right",
    ):
        assert expected in text


def test_an_empty_result_says_so_in_words(
    empty_findings: Findings, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    text = text_of(written(empty_findings, provenance, uids), tmp_path)
    assert "No candidate found by Chest CT segmentation 1.0.0; not a normal report." in text


def test_what_finds_no_room_is_counted(
    findings: Findings, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    one = findings.measurements[0]
    many = tuple(
        replace(one, name=replace(one.name, meaning=f"Quantity {number}"), value=float(number)) for number in range(300)
    )
    text = text_of(written(replace(findings, measurements=many), provenance, uids), tmp_path)
    counted = re.search(r"(\d+) further measurements in the structured report", text)
    assert counted
    assert len(re.findall(r"Quantity \d+", text)) + int(counted[1]) == 300


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou"),
        ("Иванов^Иван", "Иванов, Иван"),
        ("Διονυσιος^Άγγελος", "Διονυσιος, Άγγελος"),
        ("王^小东", "[name in another script]"),
        (ARABIC, ""),
    ],
)
def test_a_name_in_any_script_survives_in_the_header_and_breaks_nothing_on_the_page(
    name: str, shown: str, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    def rename(_: int, ds: Dataset) -> None:
        ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 192", name

    ds = written(with_headers(findings_in("axial", np.zeros(SHAPE, np.uint8)), rename), provenance, uids)
    assert (ds.SpecificCharacterSet, str(ds.PatientName)) == ("ISO_IR 192", name)
    assert shown in text_of(ds, tmp_path)


def test_the_object_is_an_unverified_document_of_the_same_study(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = written(findings, provenance, uids)
    assert (ds.SOPClassUID, ds.Modality) == (EncapsulatedPDFStorage, "DOC")
    assert (ds.SOPInstanceUID, ds.SeriesInstanceUID) == (uids.instance("pdf"), uids.series("pdf"))
    assert (ds.MIMETypeOfEncapsulatedDocument, ds.BurnedInAnnotation) == ("application/pdf", "YES")
    assert (ds.VerificationFlag, ds.ConceptNameCodeSequence[0].CodeValue) == ("UNVERIFIED", "126000")
    assert (ds.StudyInstanceUID, ds.PatientID, ds.IssuerOfPatientID) == (STUDY, "P-1", "Hospital")
    assert (ds.StudyDate, ds.StudyID, ds.AccessionNumber) == ("20260101", "S1", "A-17")
    assert referenced_instances(ds) == {str(one.SOPInstanceUID) for one in findings.source.datasets}
    assert len(ds.EncapsulatedDocument) % 2 == 0


def test_the_same_findings_give_the_same_bytes(provenance: Provenance, uids: ResultUids) -> None:
    first, second = (
        onepage.write(findings, provenance, uids, pictures_of(findings, provenance))
        for findings in (findings_in("axial"), findings_in("axial"))
    )
    assert to_bytes(first) == to_bytes(second)


@pytest.mark.parametrize("name", ["tilted CT", "enhanced MR"])
def test_dciodvfy_finds_nothing(name: str, provenance: Provenance, uids: ResultUids, tmp_path: Path) -> None:
    file = tmp_path / "pdf.dcm"
    file.write_bytes(to_bytes(onepage.write(SOURCES[name](), provenance, uids, ())))
    done = subprocess.run([tool("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.strip() and ACCEPTED_WARNING not in line]
    assert lines == ["EncapsulatedPDF"]
