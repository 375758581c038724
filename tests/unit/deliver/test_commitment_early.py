"""Reports of archives over the association on which they were asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom.dsutils import decode, encode
from structlog.testing import capture_logs

from dicomnode.deliver.commitment_early import EarlyReport
from dicomnode.domain.commitment import Reference, Report, report_dataset

#: FailedSOPSequence (0008,1198) of undefined length, and an item in it.
_SEQUENCE, _ITEM = b"\x08\x00\x98\x11\xff\xff\xff\xff", b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
_ITEM_END, _SEQUENCE_END = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00", b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


class _Event:
    """An N-EVENT-REPORT whose data set is read when it is asked for, as pynetdicom does it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def event_information(self) -> Dataset:
        return decode(BytesIO(self._content), True, True)


def _answer(content: bytes) -> int:
    early = EarlyReport()
    handler: Any = early.handlers[0][1]
    return int(handler(_Event(content))[0])


def _report() -> bytes:
    content = encode(
        report_dataset(Report(transaction_uid="1.2", kept=(Reference(sop_class_uid="1.3", sop_instance_uid="1.4"),))),
        True,
        True,
    )
    assert content is not None
    return content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08",
        (_SEQUENCE + _ITEM) * 3000 + (_ITEM_END + _SEQUENCE_END) * 3000,
        _report()[:-30],
        b"\x08\x00\x95\x11\xff\xff",
    ],
    ids=["empty", "one byte", "deeply nested", "cut short", "no data set"],
)
def test_what_is_no_report_is_refused_with_a_reason_in_the_log(content: bytes) -> None:
    with capture_logs() as lines:
        assert _answer(content) == 0x0115
    assert [line["event"] for line in lines] == ["commitment report refused"]


def test_a_report_is_answered_with_what_its_keeper_says() -> None:
    early, kept = EarlyReport(), []
    handler: Any = early.handlers[0][1]
    talk: Any = SimpleNamespace(association=SimpleNamespace(is_established=True))

    def keep(report: Report) -> bool:
        kept.append(report)
        return True

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(handler, _Event(_report()))
        early.listen(talk, keep, lambda: bool(kept))
        assert answer.result()[0] == 0x0000
    assert kept[0].transaction_uid == "1.2"
