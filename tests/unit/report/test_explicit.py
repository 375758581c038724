"""Our encoding of sequences, byte for byte against pydicom's."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import DataElement, Dataset, dcmwrite
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import DA, DS, DT, IS, TM, PersonName

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import features, labelmap, measurements, refusal, rtstruct, segmentation
from dicomnode.report.encode import to_bytes

from .phantoms import enhanced, part_of_enhanced


def by_pydicom(ds: Dataset) -> bytes:
    """The file as pydicom writes it, with the file meta information that the object has."""
    buffer = BytesIO()
    dcmwrite(buffer, ds, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return buffer.getvalue()


def holding(*items: Dataset) -> Dataset:
    """An object with a sequence."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.22", "1.2.3"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ContentSequence = Items(items)
    return ds


def item(**values: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def test_results_have_the_bytes_that_pydicom_writes(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    seg = segmentation.write(findings, provenance, uids)
    made = [
        seg,
        labelmap.write(findings, provenance, uids),
        measurements.write(findings, provenance, uids, seg),
        features.write(findings, provenance, uids, None),
        rtstruct.write(findings, provenance, uids),
        refusal.write(findings.source.datasets, "too thin", provenance, uids),
    ]
    for ds in made:
        assert ds is not None
        assert to_bytes(ds) == by_pydicom(ds)


@pytest.mark.parametrize("source", [enhanced, part_of_enhanced])
def test_so_have_results_on_multi_frame_objects(
    source: Callable[[], Findings], provenance: Provenance, uids: ResultUids
) -> None:
    seg = segmentation.write(source(), provenance, uids)
    assert seg is not None
    for ds in (seg, measurements.write(source(), provenance, uids, seg)):
        assert to_bytes(ds) == by_pydicom(ds)


SHARED = item(CodeValue="1", CodingSchemeDesignator="DCM", CodeMeaning="odd")


@pytest.mark.parametrize(
    "content",
    [
        item(TextValue="Ä straße 山", PersonName=PersonName("Yamada^Tarou=山田^太郎")),
        item(TextValue="", CodeMeaning=None, NumericValue=[], ReferencedFrameNumber=None),
        item(NumericValue=DS("1.50"), ReferencedFrameNumber=[IS("07"), 12], FloatingPointValue=0.1),
        item(ImagePositionPatient=[DS(1 / 3, auto_format=True), DS("-0"), 3], DimensionIndexValues=[1, 2**31]),
        item(Rows=2**16 - 1, DimensionIndexValues=7, RecommendedDisplayCIELabValue=[1, 2, 3]),
        item(Date=DA("20260101"), Time=TM("101500.25"), DateTime=DT("20260101101500+0100"), UID="1.2.345"),
        item(SegmentLabel=["one", "two"], ImageType=["A", "BC"], UID=["1.2", "1.2.3"]),
        item(SpecificCharacterSet="ISO_IR 100", TextValue="Jörg", ConceptNameCodeSequence=[item(CodeMeaning="Ö")]),
        item(
            TextValue="a\\b", ImageComments="x" * 9_999, EncapsulatedDocument=b"odd", DimensionIndexPointer=0x00620002
        ),
        item(ConceptNameCodeSequence=[SHARED, item(ContentSequence=[SHARED]), SHARED], ContentSequence=[]),
        item(GraphicData=[0.5, 1.5], TableOfXBreakPoints=[2**31]),
        item(SmallestImagePixelValue=3, RealWorldValueMappingSequence=[item(RealWorldValueFirstValueMapped=5)]),
    ],
    ids=lambda ds: ds[next(iter(ds.keys()))].keyword,
)
def test_rare_values_too(content: Dataset) -> None:
    ds = holding(content, SHARED, content)
    ds.PixelRepresentation = 0
    assert to_bytes(ds) == by_pydicom(ds)


def test_a_value_too_long_for_its_representation_is_written_as_pydicom_does() -> None:
    ds = holding(item(ContourData=[DS(number) for number in range(20_000)]))
    with pytest.warns(UserWarning, match="exceeds the size of 64 kByte"):
        ours = to_bytes(ds)
    with pytest.warns(UserWarning, match="exceeds the size of 64 kByte"):
        assert ours == by_pydicom(ds)


def test_bytes_that_were_encoded_before_are_taken_as_they_are() -> None:
    tag = Tag("ContourData")
    known = Dataset({tag: RawDataElement(tag, "DS", 4, b"1\\2 ", 0, False, True)})
    known.set_original_encoding(False, True, "iso8859")
    foreign = Dataset({tag: RawDataElement(tag, "DS", 4, b"1\\2 ", 0, True, True)})
    for ds in (holding(known), holding(foreign)):
        assert b"1\\2 " in to_bytes(ds)
        assert to_bytes(ds) == by_pydicom(ds)


def test_without_a_character_set_it_is_ascii() -> None:
    ds = holding(item(TextValue="plain"))
    del ds.SpecificCharacterSet
    assert to_bytes(ds) == by_pydicom(ds)


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\\\0"), max_size=9), max_size=4),
    numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=4),
)
def test_any_text_and_number(texts: list[str], numbers: list[float]) -> None:
    decimals = [DS(number, auto_format=True) for number in numbers]
    ds = holding(*(item(TextValue=text, NumericValue=decimals, FloatingPointValue=numbers) for text in texts))
    assert to_bytes(ds) == by_pydicom(ds)


def test_a_number_out_of_range_in_a_sequence_is_an_encoding_error() -> None:
    broken = Dataset({Tag("Rows"): DataElement(Tag("Rows"), "US", 2**16, already_converted=True)})
    with pytest.raises(EncodingError, match=r"object 1\.2\.3: found"):
        to_bytes(holding(broken))


def test_what_is_written_stays_as_it_was() -> None:
    ds = holding(item(SmallestImagePixelValue=3, ConceptNameCodeSequence=[SHARED]))
    ds.PixelRepresentation = 0
    to_bytes(ds)
    assert isinstance(ds.file_meta, FileMetaDataset)
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert ds.ContentSequence[0].ConceptNameCodeSequence[0] is SHARED
