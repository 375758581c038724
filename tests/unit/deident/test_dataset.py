"""A patient who filled every field he could is not found in any byte afterwards."""

from __future__ import annotations

from datetime import date
from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom._dicom_dict import DicomDictionary
from pydicom.tag import Tag

from dicomnode.deident.dataset import deidentify
from dicomnode.deident.pseudonym import Pseudonyms
from dicomnode.deident.unlisted import TECHNICAL
from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.privacy import Keep
from tests.unit.deident.conftest import MakeImage

MARKER = "LOGME"
WRITTEN = {"PN": f"DONT^{MARKER}", "UR": f"http://{MARKER}"}
TEXTS = ("LO", "SH", "ST", "LT", "UT", "UC", "PN", "AE", "UR")


def _written(ds: Dataset) -> bytes:
    stream = BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _everywhere(keywords_left_out: frozenset[str]) -> Dataset:
    ds = Dataset()
    for number, (vr, _, _, _, keyword) in DicomDictionary.items():
        if number >> 16 >= 8 and vr in TEXTS and keyword not in keywords_left_out and number >> 16 != 0x7FE0:
            ds.add_new(number, vr, WRITTEN.get(vr, f"DONT {MARKER}"))
    return ds


@pytest.mark.parametrize("keep", [frozenset(), frozenset(Keep) - {Keep.DEVICE, Keep.INSTITUTION}])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_text_of_a_patient_who_fills_every_field_is_left(
    keep: frozenset[Keep], image: MakeImage, names: Pseudonyms
) -> None:
    left_out = TECHNICAL - {"CodeValue", "CodeMeaning", "CodingSchemeDesignator"}
    if Keep.PATIENT in keep:
        left_out |= {"EthnicGroup"}  # the one text that this option keeps as it is
    ds = image()
    for element in _everywhere(left_out):
        ds.add(element)
    ds.SourceImageSequence = [_everywhere(left_out)]
    ds.SourceImageSequence[0].PurposeOfReferenceCodeSequence = [_everywhere(left_out)]
    ds.private_block(0x0009, f"DONT {MARKER}", create=True).add_new(0x01, "LO", f"DONT {MARKER}")
    ds.add_new(0x60004000, "LT", f"DONT {MARKER}")
    ds.add_new(0x60000022, "LO", f"DONT {MARKER}")
    ds.add_new(0x50003000, "OW", f"DONT {MARKER}".encode())
    ds.add_new(0xFFFCFFFC, "OB", f"DONT {MARKER}".encode())
    ds.preamble = MARKER.encode().ljust(128, b"\0")
    ds.file_meta.SourceApplicationEntityTitle = MARKER
    ds.file_meta.PrivateInformation = MARKER.encode()
    before = _written(ds)
    assert before.count(MARKER.encode()) > 2000
    assert MARKER.encode() not in _written(deidentify(ds, names, keep).dataset)


def test_technical_words_stay_and_say_how_the_image_came_about(image: MakeImage, names: Pseudonyms) -> None:
    ds = image(Manufacturer="GE", ConvolutionKernel="B30f", KVP="120", SliceThickness="2.5", SequenceName="*tfl3d1")
    done = deidentify(ds, names).dataset
    assert (done.Manufacturer, done.ConvolutionKernel, done.SequenceName) == ("GE", "B30f", "*tfl3d1")
    assert (done.KVP, done.SliceThickness) == (120, 2.5)


def test_references_hold_between_objects_that_are_processed_apart(image: MakeImage, names: Pseudonyms) -> None:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5"
    source, mask = (
        image(),
        image(SOPInstanceUID="1.2.3.9", FrameOfReferenceUID="1.2.3.8", SourceImageSequence=[reference]),
    )
    source, mask = (deidentify(one, names).dataset for one in (source, mask))
    found = mask.SourceImageSequence[0]
    assert found.ReferencedSOPInstanceUID == source.SOPInstanceUID == source.file_meta.MediaStorageSOPInstanceUID
    assert found.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert mask.StudyInstanceUID == source.StudyInstanceUID != "1.2.3"
    assert mask.PatientID == source.PatientID != "P1"


def test_the_same_object_gives_the_same_bytes_and_another_secret_others(image: MakeImage, names: Pseudonyms) -> None:
    other = Pseudonyms(secret=b"another secret, as long as the first")
    first, again, foreign = (_written(deidentify(image(), one).dataset) for one in (names, names, other))
    assert first == again != foreign
    assert dcmread(BytesIO(first)).SOPInstanceUID != dcmread(BytesIO(foreign)).SOPInstanceUID


def test_intervals_between_the_studies_of_a_patient_stay(image: MakeImage, names: Pseudonyms) -> None:
    keep = frozenset({Keep.DATES})
    first, second = (
        deidentify(image(StudyDate=day, StudyTime="101112", PatientBirthDate="19500101"), names, keep).dataset
        for day in ("20260203", "20260305")
    )
    assert first.StudyDate != "20260203" and first.StudyTime == "101112" and not first.PatientBirthDate
    days = [date.fromisoformat(ds.StudyDate).toordinal() for ds in (first, second)]
    assert days[1] - days[0] == 30
    assert first.LongitudinalTemporalInformationModified == "MODIFIED"


def test_dates_that_are_not_kept_are_gone_and_said_to_be(image: MakeImage, names: Pseudonyms) -> None:
    done = deidentify(image(StudyDate="20260203", ContentDate="20260203", AcquisitionDate="20260203"), names).dataset
    assert b"20260203" not in _written(done)
    assert done.LongitudinalTemporalInformationModified == "REMOVED"


def test_the_object_says_what_was_done_to_it(image: MakeImage, names: Pseudonyms) -> None:
    done = deidentify(image(), names, frozenset({Keep.DEVICE, Keep.DATES})).dataset
    assert done.PatientIdentityRemoved == "YES" and "PS3.15" in done.DeidentificationMethod
    codes = [code.CodeValue for code in done.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113104", "113109", "113107"]


@pytest.mark.parametrize(("age", "kept"), [("071Y", "071Y"), ("093Y", "090Y"), ("010M", "010M"), ("LOGME", "")])
def test_an_age_over_89_becomes_90(age: str, kept: str, image: MakeImage, names: Pseudonyms) -> None:
    ds = image()
    ds.add_new(Tag("PatientAge"), "AS", None)
    ds["PatientAge"]._value = age
    assert (deidentify(ds, names, frozenset({Keep.PATIENT})).dataset.PatientAge or "") == kept


@pytest.mark.parametrize(
    ("description", "kept"),
    [
        ("CT Chest with contrast 1.5 mm", "CT Chest with contrast 1.5 mm"),
        ("Chest LOGME DONT", "Chest"),
        ("LOGME 12.03.2026", None),
        ("Liver 4711083", "Liver"),
    ],
)
def test_of_a_description_only_known_words_stay(
    description: str, kept: str | None, image: MakeImage, names: Pseudonyms
) -> None:
    done = deidentify(image(SeriesDescription=description), names, frozenset({Keep.ACQUISITION})).dataset
    assert done.get("SeriesDescription") == kept


def _item(kind: str, concept: tuple[str, str, str], **value: Any) -> Dataset:
    item, code = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = concept
    item.RelationshipType, item.ValueType, item.ConceptNameCodeSequence = "CONTAINS", kind, [code]
    for keyword, one in value.items():
        setattr(item, keyword, one)
    return item


def test_a_report_keeps_its_numbers_and_loses_its_persons(image: MakeImage, names: Pseudonyms) -> None:
    measured, unit = Dataset(), Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "ml", "UCUM", "ml"
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "12.5", [unit]
    content = [
        _item("PNAME", ("121008", "DCM", "Person Observer Name"), PersonName="DONT^LOGME"),
        _item("TEXT", ("121106", "DCM", "Comment"), TextValue="LOGME was seen"),
        _item("TEXT", ("112039", "DCM", "Tracking Identifier"), TextValue="LOGME 1"),
        _item("TEXT", ("111001", "DCM", "Algorithm Name"), TextValue="nnU-Net"),
        _item("NUM", ("118565006", "SCT", "Volume"), MeasuredValueSequence=[measured]),
        _item("NUM", ("121033", "DCM", "Subject Age"), MeasuredValueSequence=[measured]),
        _item("UIDREF", ("112040", "DCM", "Tracking Unique Identifier"), UID="1.2.3.4.5"),
        _item("DATE", ("111060", "DCM", "Study Date"), Date="20260203"),
        _item("CONTAINER", ("126010", "DCM", "Imaging Measurements")),
    ]
    content[-1].ContentSequence = [_item("TEXT", ("121106", "DCM", "Comment"), TextValue="LOGME again")]
    done = deidentify(image(ValueType="CONTAINER", ContentSequence=content), names).dataset
    left = done.ContentSequence
    assert MARKER.encode() not in _written(done) and b"20260203" not in _written(done)
    assert left[2].TextValue and left[3].TextValue == "nnU-Net"
    assert left[4].MeasuredValueSequence[0].NumericValue == 12.5 and len(left[5].MeasuredValueSequence) == 0
    assert done.SOPInstanceUID == left[6].UID and left[6].ConceptNameCodeSequence[0].CodeValue == "112040"


@pytest.mark.parametrize(
    "attributes",
    [
        {"BurnedInAnnotation": "YES"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1", "EncapsulatedDocument": b"%PDF"},
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
        {"SOPInstanceUID": ""},
    ],
)
def test_what_may_show_a_name_is_refused_and_not_named(
    attributes: dict[str, Any], image: MakeImage, names: Pseudonyms
) -> None:
    with pytest.raises(Unsuitable, match="not de-identified") as caught:
        deidentify(image(**attributes), names)
    assert MARKER not in str(caught.value)


def test_pixels_that_deny_annotations_pass_and_heads_are_pointed_out(image: MakeImage, names: Pseudonyms) -> None:
    assert deidentify(image(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", BurnedInAnnotation="NO"), names).warnings == ()
    (warning,) = deidentify(image(BodyPartExamined="HEAD"), names).warnings
    assert "face" in warning
