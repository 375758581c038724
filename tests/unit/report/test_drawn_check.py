"""What is read back of pictures and pages: pixels, letters, and whose they are."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import onepage, secondary
from dicomnode.report.canvas import BOTTOM
from dicomnode.report.drawn_check import verify_pdf, verify_picture
from dicomnode.report.encode import to_bytes
from dicomnode.report.page import pictures_of
from dicomnode.report.picture import Picture

Change = Callable[[Dataset], None]


@pytest.fixture
def pictures(findings: Findings, provenance: Provenance) -> tuple[Picture, ...]:
    return pictures_of(findings, provenance)


def changed(encoded: bytes, change: Change) -> bytes:
    ds = dcmread(BytesIO(encoded))
    change(ds)
    return to_bytes(ds)


def blank_below(ds: Dataset) -> None:
    pixels = ds.pixel_array.copy()
    pixels[BOTTOM:] = 0
    ds.PixelData = pixels.tobytes()


def mirror(ds: Dataset) -> None:
    ds.PixelData = np.ascontiguousarray(ds.pixel_array[:, ::-1]).tobytes()


def other_patient(ds: Dataset) -> None:
    ds.PatientID = "P-2"


def other_study(ds: Dataset) -> None:
    ds.StudyInstanceUID = "1.2.3"


def test_pictures_pass_as_they_were_drawn(
    findings: Findings, provenance: Provenance, uids: ResultUids, pictures: tuple[Picture, ...]
) -> None:
    for picture, ds in zip(pictures, secondary.write(findings, provenance, uids, pictures), strict=True):
        verify_picture(to_bytes(ds), findings.source.datasets, picture)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (mirror, "other pixels"),
        (other_patient, "another PatientID"),
        (other_study, "another StudyInstanceUID"),
        (lambda ds: setattr(ds, "PixelData", ds.PixelData[:-900]), "picture read back"),
    ],
)
def test_another_picture_or_patient_is_found(
    findings: Findings, provenance: Provenance, uids: ResultUids, pictures: tuple[Picture, ...], change: Change,
    words: str,
) -> None:  # fmt: skip
    encoded = to_bytes(secondary.write(findings, provenance, uids, pictures)[0])
    with pytest.raises(EncodingError, match=words) as refused:
        verify_picture(changed(encoded, change), findings.source.datasets, pictures[0])
    assert "P-1" not in str(refused.value) and "P-2" not in str(refused.value)


def test_a_notice_without_its_letters_is_found(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    encoded = to_bytes(secondary.refusal(findings.source.datasets, "too few slices", provenance, uids))
    verify_picture(encoded, findings.source.datasets)
    with pytest.raises(EncodingError, match="no letters in the lower band"):
        verify_picture(changed(encoded, blank_below), findings.source.datasets)


def test_a_page_passes_whole_and_of_the_right_patient_alone(
    findings: Findings, provenance: Provenance, uids: ResultUids, pictures: tuple[Picture, ...]
) -> None:
    encoded = to_bytes(onepage.write(findings, provenance, uids, pictures))
    verify_pdf(encoded, findings.source.datasets)

    def cut(ds: Dataset) -> None:
        ds.EncapsulatedDocumentLength -= 20

    def empty(ds: Dataset) -> None:
        ds.EncapsulatedDocument = b"%PDF-1.4\n%%EOF\n\n"
        ds.EncapsulatedDocumentLength = 15

    for change, words in ((cut, "no whole document"), (empty, "no letters"), (other_patient, "another PatientID")):
        with pytest.raises(EncodingError, match=words):
            verify_pdf(changed(encoded, change), findings.source.datasets)
