"""Result objects as the bytes of a DICOM file."""

from __future__ import annotations

from io import BytesIO

from pydicom import DataElement, Dataset, dcmwrite
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import correct_ambiguous_vr_element
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicomnode.report.boundary import encoding
from dicomnode.report.explicit import Items

#: Identify this implementation in files and associations (PS3.7 D.3.3.2); the UID was drawn once under 2.25.
IMPLEMENTATION_CLASS_UID = UID("2.25.215340193102733419333932709076929610972")
IMPLEMENTATION_VERSION_NAME = "DICOMNODE"


def to_bytes(dataset: Dataset) -> bytes:
    """`dataset` in the DICOM File Format (PS3.10 section 7), Explicit VR Little Endian or as compressed.

    Raises
    ------
    EncodingError
        If a value does not fit its value representation or mandatory UIDs are missing.
    """
    with encoding(f"object {dataset.get('SOPInstanceUID', 'without UID')}"):
        meta = FileMetaDataset()
        meta.FileMetaInformationVersion = b"\x00\x01"
        meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        # Pixels that a writer has compressed stay so; everything else is plain.
        made = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
        meta.TransferSyntaxUID = made if made and made.is_encapsulated else ExplicitVRLittleEndian
        meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
        meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
        dataset.file_meta = meta
        written = _with_encoded_sequences(dataset)
        written.file_meta = meta
        buffer = BytesIO()
        dcmwrite(buffer, written, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return buffer.getvalue()


def _with_encoded_sequences(dataset: Dataset) -> Dataset:
    """The same object for pydicom to write, with the bytes of its sequences in place of their items."""
    items = Items(dataset)
    elements: dict[BaseTag, DataElement | RawDataElement] = {}
    for element in dataset:
        correct_ambiguous_vr_element(element, dataset, True)
        if element.VR == "SQ":
            value = items.encoded(element.value)
            elements[element.tag] = RawDataElement(element.tag, "SQ", len(value), value, 0, False, True)
        else:
            elements[element.tag] = element
    written = Dataset(elements)
    # Else it would parse them on writing.
    character_set = dataset.get("SpecificCharacterSet")
    written.set_original_encoding(False, True, convert_encodings(character_set) if character_set else default_encoding)
    return written
