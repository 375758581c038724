"""What `told` says of a header is what pydicom says, whichever way the header was written and read."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicomnode.infer.read.told import stated, told

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)


def header(syntax: Any, **changes: Any) -> Dataset:
    """A header as it is read from a file, nothing of it converted yet."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, "2.25.7"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.ConvolutionKernel = "schärfer"
    ds.KVP, ds.InstanceNumber = "120", "5"
    ds.ImagePositionPatient = ["-1.5", "2", "3e1"]
    ds.Rows, ds.BitsAllocated, ds.PixelRepresentation = 4, 16, 1
    ds.PixelPaddingValue = -2000
    ds.RescaleType = ""
    ds.DiffusionBValue = 1000.0
    item = Dataset()
    item.CodeValue = "1"
    ds.AnatomicRegionSequence = [item]
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return dcmread(buffer, stop_before_pixels=True)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_attribute_is_told_as_pydicom_has_it(syntax: Any) -> None:
    asked = [element.keyword for element in header(syntax)]
    assert len(asked) == 15
    for _ in range(2):
        ours, theirs = header(syntax), header(syntax)
        for keyword in asked:
            value, expected = told(ours, keyword), theirs.get(keyword)
            assert value == expected and type(value) is type(expected), keyword
    assert told(header(syntax), "ConvolutionKernel") == "schärfer"
    assert told(header(syntax), "PixelPaddingValue") == -2000


def test_the_same_bytes_in_another_character_set_are_another_text() -> None:
    western = header(ExplicitVRLittleEndian)
    raw = western.get_item("ConvolutionKernel").value
    cyrillic = header(ExplicitVRLittleEndian, SpecificCharacterSet="ISO_IR 144", ConvolutionKernel="ш")
    assert told(western, "ConvolutionKernel").encode("latin-1") == raw.rstrip()
    assert told(cyrillic, "ConvolutionKernel") == "ш"
    assert told(header(ExplicitVRLittleEndian, ConvolutionKernel="è"), "ConvolutionKernel") == "è"  # the byte of ш


def test_what_was_changed_after_reading_counts() -> None:
    ds = header(ExplicitVRLittleEndian)
    assert told(ds, "KVP") == 120
    ds.KVP = "80"
    ds.FrameOfReferenceUID = "2.25.9"
    assert (told(ds, "KVP"), told(ds, "FrameOfReferenceUID")) == (80, "2.25.9")
    assert told(header(ExplicitVRLittleEndian), "KVP") == 120


def test_what_is_absent_is_the_default_or_a_fault() -> None:
    ds = header(ExplicitVRLittleEndian)
    assert told(ds, "EchoTime", 7) == 7 and told(ds, "NoSuchKeyword") is None
    assert stated(ds, "Rows") == 4
    with pytest.raises(KeyError):
        stated(ds, "Columns")


def test_a_value_that_breaks_its_representation_is_refused_each_time() -> None:
    ds = header(ExplicitVRLittleEndian)
    raw: Any = ds.get_item("DiffusionBValue")
    broken = raw._replace(value=b"\1\2\3", length=3)
    for _ in range(2):
        ds[broken.tag] = broken
        with pytest.raises(Exception, match="length"):
            told(ds, "DiffusionBValue")
