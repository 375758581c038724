"""Source headers with values that break the standard: results go without them, and nothing quotes them."""

from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import refusal, rejection, secondary
from dicomnode.report.boundary import encoding
from dicomnode.report.identity import fit, guard_study

from .conftest import SERIES, STUDY
from .reading import reread, texts

BROKEN = (
    ("ProcedureCodeSequence", "SQ", b"\x01\x02\x03\x04"),
    ("RequestAttributesSequence", "SQ", b"\x01\x02\x03"),
    ("RequestAttributesSequence", "DS", b"N/A"),
    ("PatientComments", "US", b"A"),
    ("PatientWeight", "DS", b"N/A"),
    ("LossyImageCompression", "IS", b"1e9"),
    ("Laterality", "IS", b"1e9"),
    ("AccessionNumber", "DS", b"SECRET"),
    ("StudyDescription", "SQ", b"\x01"),
)


def header(keyword: str, representation: str, value: bytes) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"{SERIES}.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.PatientID, ds.PatientName, ds.Modality = "P-1", "Doe^Jane", "CT"
    raw = RawDataElement(Tag(keyword), representation, len(value), value, 0, False, True, True)
    ds._dict[Tag(keyword)] = raw
    return ds


@pytest.mark.parametrize(("keyword", "representation", "value"), BROKEN)
def test_an_attribute_that_cannot_be_read_is_left_out_of_what_tells_the_reader(
    keyword: str, representation: str, value: bytes, provenance: Provenance, uids: ResultUids
) -> None:
    report = reread(refusal.write([header(keyword, representation, value)], "too thick", provenance, uids))
    assert texts(report)[0] == "Not analysed: too thick" and report.PatientID == "P-1"
    assert not report.get(keyword)
    image = reread(secondary.refusal([header(keyword, representation, value)], "too thick", provenance, uids))
    assert str(image.PatientName) == "Doe^Jane"
    rejection.write([header(keyword, representation, value)], "wrong", rejection.TITLES["quality"], provenance, uids)


@pytest.mark.parametrize("keyword", ["PatientID", "IssuerOfPatientID", "StudyInstanceUID"])
def test_an_identity_that_cannot_be_read_is_never_left_out_in_silence(keyword: str) -> None:
    with pytest.raises(EncodingError, match="BytesLengthException at "):
        guard_study([header(keyword, "US", b"A")])
    with pytest.raises(EncodingError, match="BytesLengthException at "):
        fit(header(keyword, "US", b"A"))


def test_what_a_library_says_of_a_value_goes_into_no_message() -> None:
    with pytest.raises(EncodingError) as told, encoding("object 1"):
        float("SECRET")
    assert "SECRET" not in str(told.value) and str(told.value).startswith("object 1: found ValueError in ")
    with pytest.raises(EncodingError, match="found ValueError at Accession Number, needed") as told, encoding("object"):
        raise ValueError("With tag (0008,0050) got exception: 'SECRET'")
    assert "SECRET" not in str(told.value)


def test_a_disk_that_fails_is_not_the_objects_fault() -> None:
    with pytest.raises(OSError, match="Input/output"), encoding("object 1"):
        raise OSError(5, "Input/output error")
