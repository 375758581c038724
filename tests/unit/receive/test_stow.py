"""What becomes of the parts of a STOW-RS request."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from pydicom import Dataset

from dicomnode.domain.errors import OutOfResources
from dicomnode.domain.network import Association
from dicomnode.domain.study import Arrival
from dicomnode.receive.limits import Limits
from dicomnode.receive.stow import Storing, TooLarge
from dicomnode.receive.stow_answer import JSON, XML, encoded, preferred, response, status_of
from dicomnode.receive.stow_multipart import Malformed
from tests.unit.receive.posted import Kept, body, data_set, instance

ENCAPSULATED_STORAGE_OF_NOBODY = "1.2.840.10008.5.1.4.1.1.2.99"
A_SYNTAX_OF_VIDEO = "1.2.840.10008.1.2.7"


@pytest.fixture
def intake() -> Kept:
    return Kept()


@pytest.fixture
def storing(intake: Kept, association: Association, tmp_path: Path) -> Storing:
    limits = Limits(maximum_object_bytes=100_000)
    found = Storing(intake, association, tmp_path, limits, boundary="b", study_instance_uid="1.2.3.4")
    found.open()
    return found


def answered(storing: Storing, content: bytes, block_bytes: int = 1000) -> Dataset:
    """The answer to a body as a client reads it."""
    for at in range(0, len(content), block_bytes):
        storing.feed(content[at : at + block_bytes])
    parts = storing.finish()
    storing.close()
    ds = Dataset.from_json(encoded(response(parts), JSON).decode())
    ds.add_new(0x00090010, "LO", str(status_of(parts)))
    return ds


def status(answer: Dataset) -> int:
    return int(answer[0x00090010].value)


def test_every_object_reaches_the_intake_with_its_data_set_as_sent(
    storing: Storing, intake: Kept, tmp_path: Path
) -> None:
    sent = [instance(number) for number in (1, 2, 3)]
    answer = answered(storing, body(*sent), block_bytes=7)
    assert intake.content == {f"1.2.3.4.{n}": data_set(one) for n, one in zip((1, 2, 3), sent, strict=True)}
    assert intake.news == ["opened", "accepted", "accepted", "accepted", "closed"]
    assert [one.ReferencedSOPInstanceUID for one in answer.ReferencedSOPSequence] == list(intake.content)
    assert status(answer) == 200 and "FailedSOPSequence" not in answer
    assert list(tmp_path.iterdir()) == []


def test_a_preamble_of_strangers_and_their_private_information_are_not_kept(storing: Storing, intake: Kept) -> None:
    seen: list[bytes] = []
    intake.before = lambda arrival: seen.append(Path(arrival.path).read_bytes())
    answered(storing, body(b"MZ" + instance()[2:]))
    assert seen[0].startswith(bytes(128) + b"DICM")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (instance(sop_class=ENCAPSULATED_STORAGE_OF_NOBODY), 0x0122),
        (instance(syntax=A_SYNTAX_OF_VIDEO.ljust(19, "9")), 0xC122),
        (instance(named="1.2.3.4.7"), 0xA900),
        (instance(study="1.2.3.5"), 0xA900),
        (instance()[:-5], 0xC000),
        (instance(bulk_bytes=150_000), 0xA700),
    ],
    ids=["class", "syntax", "another instance", "another study", "cut short", "too long"],
)
def test_an_object_that_is_refused_is_named_with_its_reason(
    storing: Storing, intake: Kept, content: bytes, reason: int
) -> None:
    answer = answered(storing, body(instance(9), content))
    (failed,) = answer.FailedSOPSequence
    assert failed.FailureReason == reason and status(answer) == 202
    assert failed.ReferencedSOPInstanceUID in ("1.2.3.4.1", "1.2.3.5.1", "1.2.3.4.7")
    assert list(intake.content) == ["1.2.3.4.9"]


@pytest.mark.parametrize(
    "content",
    [b"", b"not DICOM", bytes(200), instance()[132:], instance()[:150], b"\0" * 128 + b"DICM" + instance()[144:]],
    ids=["empty", "text", "zeros", "no preamble", "head alone", "no group length"],
)
def test_what_is_no_object_is_another_failure(storing: Storing, content: bytes) -> None:
    answer = answered(storing, body(content))
    (failed,) = answer.OtherFailuresSequence
    assert failed.FailureReason == 0xC000 and status(answer) == 409


def test_a_nested_body_is_no_object(storing: Storing) -> None:
    inner = body(instance(), boundary="inner")
    answer = answered(storing, body(inner, kind='multipart/related; boundary="inner"'))
    assert len(answer.OtherFailuresSequence) == 1 and status(answer) == 409


def test_an_object_that_is_too_long_is_not_to_be_sent_again(storing: Storing, tmp_path: Path) -> None:
    answer = answered(storing, body(instance(bulk_bytes=150_000)))
    assert answer.FailedSOPSequence[0].FailureReason == 0xA700 and status(answer) == 409
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_room_everything_may_be_sent_again(storing: Storing, intake: Kept) -> None:
    def full(_arrival: Arrival) -> None:
        raise OutOfResources("the disk is full")

    intake.before = full
    answer = answered(storing, body(instance(1), instance(2)))
    assert [one.FailureReason for one in answer.FailedSOPSequence] == [0xA700, 0xA700] and status(answer) == 503


def test_a_failing_disk_is_no_reason_to_give_up(storing: Storing, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    storing._incoming = tmp_path / "gone"
    answer = answered(storing, body(instance()))
    assert answer.FailedSOPSequence[0].FailureReason == 0x0110 and status(answer) == 409


def test_what_was_kept_stays_when_the_body_breaks_off(storing: Storing, intake: Kept, tmp_path: Path) -> None:
    content = body(instance(1), instance(2))
    storing.feed(content[: len(content) - 40])
    with pytest.raises(Malformed):
        storing.finish()
    storing.close()
    assert list(intake.content) == ["1.2.3.4.1"]
    assert intake.news[-1] == "closed" and list(tmp_path.iterdir()) == []


def test_an_endless_part_is_not_waited_for(storing: Storing, tmp_path: Path) -> None:
    storing.feed(b"--b\r\n\r\n" + instance(bulk_bytes=90_000))
    with pytest.raises(TooLarge):
        for _ in range(20):
            storing.feed(bytes(10_000))
    storing.close()
    assert list(tmp_path.iterdir()) == []


def test_a_hundred_thousand_parts_of_nothing_are_cut_short(storing: Storing, intake: Kept) -> None:
    content = b"--b\r\n\r\nx\r\n" * 100_000
    with pytest.raises(TooLarge):
        storing.feed(content)
    storing.close()
    assert len(storing.parts) < 2000 and intake.content == {}


def test_an_object_alone_needs_no_parts(intake: Kept, association: Association, tmp_path: Path) -> None:
    storing = Storing(intake, association, tmp_path, Limits(), boundary=None)
    storing.open()
    assert status(answered(storing, instance())) == 200 and list(intake.content) == ["1.2.3.4.1"]


def test_the_native_model_says_what_the_json_model_says(storing: Storing) -> None:
    for at in range(3):
        storing.feed([b"--b\r\n\r\n", instance(), b"\r\n--b--"][at])
    answer = response(storing.finish())
    storing.close()
    root = fromstring(encoded(answer, XML))
    (item,) = root.findall("./DicomAttribute[@keyword='ReferencedSOPSequence']/Item")
    values = {one.attrib["tag"]: one.findtext("Value") for one in item}
    assert values == {"00081150": "1.2.840.10008.5.1.4.1.1.2", "00081155": "1.2.3.4.1"}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/dicom+xml", XML),
        ("application/dicom+xml, application/dicom+json;q=0.5", XML),
        ("application/json", JSON),
        ("text/html", None),
        ("application/dicom+json;q=x", None),
    ],
)
def test_an_answer_comes_as_it_is_wanted(accept: str, kind: str | None) -> None:
    assert preferred(accept) == kind
