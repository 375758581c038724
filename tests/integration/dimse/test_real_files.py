"""Real, odd and damaged files come in: stored or refused with a reason, never a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from dicomnode.domain.network import Association
from dicomnode.domain.study import Arrival

Start = Callable[..., Any]
FOLDERS = ("pydicom_malformed", "fodicom_edge")


def meta_value(content: bytes, element: int) -> str:
    """A value of the file meta information, found by its tag: the files are too odd for a library."""
    at = content.find(b"\x02\x00" + element.to_bytes(2, "little") + b"UI", 132, 1024)
    if at < 0:
        return ""
    length = int.from_bytes(content[at + 6 : at + 8], "little")
    return content[at + 8 : at + 8 + length].decode("ascii").rstrip("\0 ")


def data_set_at(content: bytes) -> int:
    """Where the data set begins, whatever is missing before it."""
    if content[128:132] != b"DICM":
        return 0
    at = 132
    while content[at : at + 2] == b"\x02\x00":
        long = content[at + 4 : at + 6] in {b"OB", b"UN"}
        size = content[at + 8 : at + 12] if long else content[at + 6 : at + 8]
        at += (12 if long else 8) + int.from_bytes(size, "little")
    return at


def files_of(root: Path) -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((root / folder).iterdir()) if path.suffix == ".dcm"]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_malformed_file_is_stored_or_refused_with_a_reason(
    listen: Start, associate: Start, recorder: Any, real_data: Path, incoming: Path
) -> None:
    listener = listen()
    answers: dict[str, tuple[int, str]] = {}
    for path in files_of(real_data):
        content = path.read_bytes()
        sop_class = meta_value(content, 0x0002) or "1.2.840.10008.5.1.4.1.1.2"
        syntax = meta_value(content, 0x0010)
        if not syntax:
            syntax = ExplicitVRLittleEndian if "LitEnd" in path.name else ImplicitVRLittleEndian
            syntax = ExplicitVRBigEndian if "BigEnd" in path.name else syntax
        association = associate(listener, sop_class=sop_class, syntax=syntax)
        response = store_bytes(
            association, sop_class, meta_value(content, 0x0003) or "1.2.3", content[data_set_at(content) :]
        )
        assert response is not None, path.name
        answers[path.name] = (response.Status, response.ErrorComment or "")
        association.release()

    assert len(answers) > 40
    refused = {name: answer for name, answer in answers.items() if answer[0]}
    assert all(comment for _, comment in refused.values())
    assert {status for status, _ in refused.values()} <= {0xA900, 0xC000}
    assert answers["MR_truncated.dcm"][0] == 0xC000
    assert answers["rtplan_truncated.dcm"][0] == 0xC000
    assert answers["image_dfl.dcm"][0] == 0x0000
    assert answers["D_CLUNIE_CT1_RLE_FRAGS.dcm"][0] == 0x0000
    assert len(refused) < len(answers) / 2
    assert list(incoming.iterdir()) == []


def store_bytes(association: Any, sop_class: str, instance: str, data: bytes) -> Any:
    """Send `data` as a data set without looking at it."""
    from io import BytesIO

    request = C_STORE()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, instance
    request.DataSet = BytesIO(data)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    association._reactor_checkpoint.clear()
    for fragment in message.encode_msg(association.accepted_contexts[0].context_id, 16384):
        association.dul.send_pdu(fragment)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return response


def test_many_associations_at_once_lose_nothing(listen: Start, associate: Start, ct: Start, recorder: Any) -> None:
    listener = listen()
    failed: list[int] = []
    lock = threading.Lock()
    ended = threading.Semaphore(0)
    accept, closed = recorder.accept, recorder.closed

    def locked(arrival: Arrival) -> None:
        with lock:
            accept(arrival)

    def count(association: Association) -> None:
        closed(association)
        ended.release()

    recorder.accept, recorder.closed = locked, count

    def send(first: int) -> None:
        association = associate(listener, calling=f"CT{first}")
        failed.extend(n for n in range(first, first + 5) if association.send_c_store(ct(n)).Status != 0)
        association.release()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(0, 40, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert all(ended.acquire(timeout=10) for _ in threads)
    assert failed == []
    assert len(recorder.accepted) == 40
