"""What the node learns from an arrived file, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
)

from dicomnode.domain.errors import CannotUnderstand, SOPClassMismatch
from dicomnode.domain.study import Arrival
from dicomnode.domain.uid import is_uid
from dicomnode.receive.header import content_digest
from dicomnode.receive.refusal import NotUnderstood

Save = Callable[..., Path]
Read = Callable[..., Arrival]


def data_set_start(path: Path) -> int:
    content = path.read_bytes()
    return 144 + int.from_bytes(content[140:144], "little")


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_every_uncompressed_syntax_gives_the_same_header(ct: Dataset, save: Save, read: Read, syntax: str) -> None:
    ct.PixelData = bytes(128)

    header = read(save(ct, syntax), syntax).header

    assert header.values("ImageType") == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert header.text("PatientName") == "Müller^Jörg"
    assert header.first("SliceThickness") == 2.5
    assert header.first("InstanceNumber") == 7
    assert header.values("ImagePositionPatient") == (-100.5, 20.0, 3.25)
    assert header.first("SmallestImagePixelValue") == -1000
    assert header.first("AnatomicRegionSequence").first("CodeValue") == "51185008"
    json.dumps(header.series, allow_nan=False)


def test_pixels_bulk_and_private_elements_stay_out_of_the_header(ct: Dataset, save: Save, read: Read) -> None:
    ct.add_new(0x00091001, "LO", "private")
    ct.add_new(0x60003000, "OW", bytes(8))
    ct.add_new(0x00420011, "OB", bytes(8))

    header = read(save(ct)).header

    assert not {"00091001", "60003000", "00420011", "7FE00010"} & set(header)
    assert "00080018" in set(header)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_moved_contours_are_other_content_and_transcoded_ones_are_not(
    ct: Dataset, save: Save, read: Read, syntax: str
) -> None:
    digests = set()
    for number, place in enumerate(("1.0", "1.0", "2.0")):
        line, roi = Dataset(), Dataset()
        line.ContourData = ["0.0", "0.0", place]
        roi.ContourSequence = [line]
        ct.ROIContourSequence = [roi]
        if "PixelData" in ct:
            del ct.PixelData
        used = syntax if number else ExplicitVRLittleEndian
        digests.add(content_digest(save(ct, used, str(number)), used))
    assert len(digests) == 2 and "" not in digests


def test_digest_is_over_the_data_set_as_sent(ct: Dataset, save: Save, read: Read) -> None:
    path = save(ct)

    arrival = read(path)

    assert arrival.digest == sha256(path.read_bytes()[data_set_start(path) :]).hexdigest()
    assert content_digest(path, ExplicitVRLittleEndian) == sha256(ct.PixelData).hexdigest()
    assert arrival.size_bytes == path.stat().st_size


def test_digest_ignores_file_meta_information(ct: Dataset, save: Save, read: Read) -> None:
    first = read(save(ct))
    ct.file_meta.SourceApplicationEntityTitle = "ELSEWHERE"
    path = Path(first.path).with_name("other")
    ct.save_as(path, enforce_file_format=True)

    assert read(path).digest == first.digest


def test_digest_of_the_content_is_the_same_whether_deflated_or_not(ct: Dataset, save: Save, read: Read) -> None:
    deflated, plain = save(ct, DeflatedExplicitVRLittleEndian, "deflated"), save(ct)

    digest = content_digest(deflated, DeflatedExplicitVRLittleEndian)

    assert digest == content_digest(plain, ExplicitVRLittleEndian)
    assert read(deflated, DeflatedExplicitVRLittleEndian).digest != read(plain).digest


def test_digest_of_the_content_covers_all_fragments(ct: Dataset, save: Save) -> None:
    ct.PixelData = encapsulate([b"frame one!", b"\xfe\xff\xdd\xe0\0\0\0\0 looks like the end"])
    ct["PixelData"].is_undefined_length = True
    ct["PixelData"].VR = "OB"
    path = save(ct, JPEG2000Lossless)
    start = path.read_bytes().index(b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff") + 12

    assert content_digest(path, JPEG2000Lossless) == sha256(path.read_bytes()[start:-8]).hexdigest()


def test_an_object_without_pixels_or_contours_has_no_digest_of_its_content(ct: Dataset, save: Save) -> None:
    del ct.PixelData

    assert content_digest(save(ct), ExplicitVRLittleEndian) == ""


def test_a_stored_file_that_a_disk_does_not_give_is_an_error_and_no_death_of_the_process() -> None:
    # Its first page is nobody's: reading it is EIO, as a bad sector is, which in a mapping would be SIGBUS.
    with pytest.raises(OSError, match="Input/output error"):
        content_digest("/proc/self/mem", ExplicitVRLittleEndian)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_a_missing_uid_is_named(ct: Dataset, save: Save, read: Read, keyword: str) -> None:
    delattr(ct, keyword)

    with pytest.raises(NotUnderstood, match=f"{keyword}: missing") as raised:
        read(save(ct))
    assert raised.value.status == 0xC000


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2.x", "1." + "2" * 64, "1..2", "/1.2", "1.2.٣"])
def test_what_is_no_uid_cannot_become_a_file_name(uid: str) -> None:
    assert not is_uid(uid)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI|Value for:UserWarning")
def test_an_invalid_study_uid_is_refused(ct: Dataset, save: Save, read: Read) -> None:
    path = save(ct)
    path.write_bytes(path.read_bytes().replace(b"1.2.3.4\0", b"../../up"))

    with pytest.raises(NotUnderstood, match=r"StudyInstanceUID: '\.\./\.\./up' is not a UID"):
        read(path)


@pytest.mark.parametrize("vr", [b"PN", b"US", b"UI", b"UN"])
def test_a_character_set_that_is_no_code_string_is_read_as_latin_1(
    ct: Dataset, save: Save, read: Read, vr: bytes
) -> None:
    path = save(ct)
    assert b"\x08\x00\x05\x00CS" in path.read_bytes()
    element = b"\x08\x00\x05\x00" + vr
    was = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100"
    now = element + (b"\0\0\x0a\0\0\0" if vr == b"UN" else b"\x0a\0") + b"ISO_IR 100"
    path.write_bytes(path.read_bytes().replace(was, now))
    assert read(path).header.text("PatientName") == "Müller^Jörg"


def test_another_sop_class_than_the_command_says_is_refused(ct: Dataset, save: Save, read: Read) -> None:
    with pytest.raises(SOPClassMismatch, match="SOPClassUID") as raised:
        read(save(ct), sop_class_uid=MRImageStorage)
    assert raised.value.status == 0xA900


def test_another_sop_instance_than_the_command_says_is_refused(ct: Dataset, save: Save, read: Read) -> None:
    with pytest.raises(SOPClassMismatch, match=r"SOPInstanceUID: data set has 1\.2\.3\.4\.1, command has 1\.9"):
        read(save(ct), sop_instance_uid="1.9")


def test_a_data_set_cut_inside_an_element_is_refused(ct: Dataset, save: Save, read: Read) -> None:
    path = save(ct)
    whole = path.read_bytes()
    taken = []
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            taken.append((read(path), content_digest(path, ExplicitVRLittleEndian)))
        except CannotUnderstand:
            continue

    # Only a cut between two elements cannot be seen: one per element from the series UID up to the pixels.
    assert len(taken) == sum(1 for element in ct if element.tag > 0x0020000E)
    assert {digest for _, digest in taken} == {""}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(at=st.integers(min_value=0, max_value=600), value=st.binary(min_size=1, max_size=4))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_bytes_never_crash(ct: Dataset, save: Save, read: Read, at: int, value: bytes) -> None:
    path = save(ct)
    content = bytearray(path.read_bytes())
    start = data_set_start(path)
    content[start + at : start + at + len(value)] = value
    path.write_bytes(content)
    try:
        arrival = read(path)
    except (CannotUnderstand, SOPClassMismatch):
        return
    json.dumps(arrival.header.series, allow_nan=False)
    assert is_uid(arrival.study_instance_uid)


def test_a_value_that_is_not_what_its_vr_says_is_left_out(ct: Dataset, save: Save, read: Read) -> None:
    path = save(ct)
    path.write_bytes(path.read_bytes().replace(b"DS\x04\x002.5 ", b"DS\x04\x00thin"))

    header = read(path).header

    assert "SliceThickness" not in header
    assert header.first("InstanceNumber") == 7


def test_an_empty_file_is_refused(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"")

    with pytest.raises(CannotUnderstand, match="too short for file meta information"):
        read(path)


def test_a_truncated_deflated_stream_is_refused(ct: Dataset, save: Save, read: Read) -> None:
    path = save(ct, DeflatedExplicitVRLittleEndian)
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(CannotUnderstand, match="deflated"):
        read(path, DeflatedExplicitVRLittleEndian)


def test_an_element_written_as_unknown_is_read_by_the_dictionary(ct: Dataset, save: Save, read: Read) -> None:
    path = save(ct)
    plain = b"\x08\0\x60\0CS\x02\0CT"
    path.write_bytes(path.read_bytes().replace(plain, b"\x08\0\x60\0UN\0\0\x02\0\0\0CT"))

    assert read(path).header.first("Modality") == "CT"


def test_sequences_of_undefined_length_are_kept(ct: Dataset, save: Save, read: Read) -> None:
    inner = Dataset()
    inner.CodeValue = "T-D3000"
    inner.is_undefined_length_sequence_item = True
    ct.AnatomicRegionSequence = Sequence([inner, Dataset()])
    ct["AnatomicRegionSequence"].is_undefined_length = True

    items = read(save(ct)).header.values("AnatomicRegionSequence")

    assert [item.first("CodeValue") for item in items] == ["T-D3000", None]


def test_japanese_and_utf_8_names_are_read(ct: Dataset, save: Save, read: Read) -> None:
    ct.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ct.PatientName = "Yamada^Tarou=山田^太郎"
    japanese = read(save(ct)).header.series["00100010"]["Value"]
    ct.SpecificCharacterSet = "ISO_IR 192"
    ct.PatientName = "Ødegård^Åse"
    utf_8 = read(save(ct)).header.text("PatientName")

    assert japanese == [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}]
    assert utf_8 == "Ødegård^Åse"


def test_sequences_nested_without_end_are_refused(ct: Dataset, save: Save, read: Read) -> None:
    inner = Dataset()
    for _ in range(40):
        outer = Dataset()
        outer.ConceptCodeSequence = [inner]
        inner = outer
    ct.AnatomicRegionSequence = [inner]

    with pytest.raises(CannotUnderstand, match="nested"):
        read(save(ct))


@pytest.mark.parametrize("folder", ["wg04", "dcmqi", "highdicom", "nm_qc_mediso"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_real_headers_agree_with_pydicom(real_data: Path, read: Read, folder: str) -> None:
    compared = 0
    for path in sorted((real_data / folder).rglob("*")):
        if not path.is_file() or path.read_bytes()[128:132] != b"DICM":
            continue
        ds = dcmread(path, stop_before_pixels=True)
        named = {"sop_class_uid": str(ds.SOPClassUID), "sop_instance_uid": str(ds.SOPInstanceUID)}
        header = read(path, str(ds.file_meta.TransferSyntaxUID), **named).header
        for keyword in ("Modality", "Rows", "ImageType", "PatientName", "PixelSpacing", "NumberOfFrames", "PatientID"):
            value = ds.get(keyword)
            expected = [] if value is None else list(value) if ds[keyword].VM > 1 else [value]
            assert [str(each) for each in header.values(keyword)] == [
                str(float(each)) if keyword == "PixelSpacing" else str(each) for each in expected if str(each)
            ], (path.name, keyword)
            compared += 1
    assert compared
