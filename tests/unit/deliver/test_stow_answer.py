"""What an answer to a posted object means, whichever archive gives it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from dicomnode.deliver.outcome import Verdict
from dicomnode.deliver.stow_answer import Answered, judged, wait_seconds

UID = "1.2.3"
JSON, XML = "application/dicom+json", "application/dicom+xml"


def item(uid: str = UID, **elements: int) -> dict[str, Any]:
    """An item of a Store Instances Response, with `failure` or `warning`."""
    tags = {"failure": "00081197", "warning": "00081196"}
    found: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    return found | {tags[name]: {"vr": "US", "Value": [value]} for name, value in elements.items()}


def told(status: int, **sequences: list[dict[str, Any]]) -> Answered:
    """An answer in JSON, with `failed` and `stored`."""
    tags = {"failed": "00081198", "stored": "00081199"}
    content = {tags[name]: {"vr": "SQ", "Value": items} for name, items in sequences.items()}
    return Answered(status=status, media_type=JSON, content=json.dumps(content).encode())


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        (told(200, stored=[item()]), Verdict.STORED, 0),
        (told(200), Verdict.STORED, 0),
        (Answered(status=200, media_type="", content=b""), Verdict.STORED, 0),
        (told(202, stored=[item(warning=0xB000)]), Verdict.STORED, 0xB000),
        (told(200, failed=[item(failure=0xA700)]), Verdict.BUSY, 0xA700),
        (told(202, failed=[item(failure=0x0110)]), Verdict.BUSY, 0x0110),
        (told(409, failed=[item(failure=0x0122)]), Verdict.REFUSED, 0x0122),
        (told(409, failed=[item(failure=0xC122)]), Verdict.REFUSED, 0xC122),
        (told(409, failed=[item(failure=0)]), Verdict.REFUSED, 0),
        (told(409, failed=[item(failure=0x0111)]), Verdict.DUPLICATE, 0x0111),
        (told(409, failed=[item(failure=45070)]), Verdict.DUPLICATE, 45070),
        (told(409, failed=[item()]), Verdict.DUPLICATE, None),
        (told(409, stored=[item()]), Verdict.DUPLICATE, None),
        (told(202, stored=[item("1.2.9")]), Verdict.DUPLICATE, None),
        (Answered(status=409, media_type="text/html", content=b"<p>"), Verdict.DUPLICATE, None),
        (Answered(status=409, media_type=JSON, content=b"[[["), Verdict.DUPLICATE, None),
        (Answered(status=409, media_type=JSON, content=b'{"00081198": {"Value": 3}}'), Verdict.DUPLICATE, None),
        (Answered(status=204, media_type="", content=b""), Verdict.DUPLICATE, None),
        *(
            (Answered(status=one, media_type="", content=b""), Verdict.BUSY, None)
            for one in (401, 403, 404, 408, 429, 500, 503, 504)
        ),
        *(
            (Answered(status=one, media_type="", content=b""), Verdict.REFUSED, None)
            for one in (302, 400, 405, 413, 415, 501, 599)
        ),
    ],
)  # fmt: skip
def test_an_answer_is_judged_by_what_it_says_of_the_object(
    answer: Answered, verdict: Verdict, reason: int | None
) -> None:
    found = judged(answer, UID)
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.text.startswith(f"HTTP {answer.status}")


def test_the_native_model_is_read_as_the_json_model_is() -> None:
    content = (
        '<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">'
        '<DicomAttribute tag="00081198" vr="SQ"><Item number="1"><DicomAttribute tag="00081155" vr="UI">'
        '<Value number="1">1.2.3</Value></DicomAttribute><DicomAttribute tag="00081197" vr="US">'
        '<Value number="1">290</Value></DicomAttribute></Item></DicomAttribute></NativeDicomModel>'
    )
    found = judged(Answered(status=202, media_type=XML, content=content.encode()), UID)
    assert (found.verdict, found.reason) == (Verdict.REFUSED, 0x0122)


def test_entities_are_not_resolved() -> None:
    content = b'<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel>&b;</NativeDicomModel>'
    assert judged(Answered(status=409, media_type=XML, content=content), UID).reason is None


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("", 0),
        ("120", 120),
        ("99999999999999999999", 3600),
        ("Sat, 21 Nov 2026 08:01:00 GMT", 60),
        ("Sat, 21 Nov 2026 07:01:00 GMT", 0),
        ("Sat, 21 Nov 2099 07:01:00 GMT", 3600),
        ("soon", 0),
        ("-5", 0),
        ("Sat, 01 Jan 99999999999999999999 00:00:00 GMT", 0),
        ("Sat, 01 Jan 2022 00:00:00 +99999999999999999", 0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 3600),
        ("x, y", 0),
    ],
)
def test_a_peer_may_say_how_long_to_leave_it_alone(field: str, seconds: float) -> None:
    assert wait_seconds(field, datetime(2026, 11, 21, 8, 0, tzinfo=UTC)) == seconds
