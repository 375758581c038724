"""The listener as its peers see it, with pynetdicom as SCU."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage
from pynetdicom import dsutils
from pynetdicom.dimse_primitives import C_STORE
from structlog.testing import capture_logs

from dicomnode.domain.errors import CannotUnderstand, ConfigError, NotAuthorised, OutOfResources
from dicomnode.domain.network import Peer
from dicomnode.receive import spool

Start = Callable[..., Any]
Make = Callable[..., Dataset]


def test_an_echo_is_answered(listen: Start, associate: Start) -> None:
    assert associate(listen()).send_c_echo().Status == 0x0000


def test_an_object_is_handed_over_before_success_is_sent(
    listen: Start, associate: Start, ct: Make, recorder: Any, incoming: Path
) -> None:
    association = associate(listen())

    status = association.send_c_store(ct())

    assert [element.keyword for element in status] == ["Status"]
    assert status.Status == 0x0000
    arrival = recorder.accepted["1.2.3.4.1"]
    assert (arrival.study_instance_uid, arrival.series_instance_uid) == ("1.2.3.4", "1.2.3.4.0")
    assert (arrival.association.calling_aet, arrival.association.called_aet) == ("CT1", "NODE")
    assert arrival.association.address == "127.0.0.1"
    assert arrival.header.first("Modality") == "CT"
    assert not arrival.on_demand
    assert Path(arrival.path).parent == incoming
    assert recorder.content["1.2.3.4.1"] == dsutils.encode(ct(), False, True)


def test_the_file_under_way_is_gone_after_the_answer_unless_linked(
    listen: Start, associate: Start, ct: Make, recorder: Any, incoming: Path, tmp_path: Path
) -> None:
    recorder.on_accept = lambda arrival: os.link(arrival.path, tmp_path / "kept")
    association = associate(listen())
    association.send_c_store(ct())
    association.send_c_echo()

    assert list(incoming.iterdir()) == []
    assert (tmp_path / "kept").read_bytes()[128:132] == b"DICM"


def test_an_association_is_opened_and_closed_around_its_objects(
    listen: Start, associate: Start, ct: Make, recorder: Any
) -> None:
    association = associate(listen())
    association.send_c_store(ct())
    association.release()

    assert recorder.closed_event.wait(10)
    assert recorder.news == ["opened CT1", "accept 1.2.3.4.1", "closed CT1"]


def test_the_on_demand_title_marks_its_arrivals(listen: Start, associate: Start, ct: Make, recorder: Any) -> None:
    associate(listen(), called="NODE_NOW").send_c_store(ct())

    assert recorder.accepted["1.2.3.4.1"].on_demand


def test_a_configured_peer_is_named(listen: Start, associate: Start, ct: Make, recorder: Any) -> None:
    peer = Peer(name="scanner", aet="CT1", host="127.0.0.1", port=104)
    associate(listen(peers=(peer,), accept_unknown=False)).send_c_store(ct())

    assert recorder.accepted["1.2.3.4.1"].association.peer == "scanner"


@pytest.mark.parametrize(
    ("calling", "called", "reason"), [("STRANGER", "NODE", 3), ("CT1", "ELSE", 7), ("STRANGER", "ELSE", 7)]
)
def test_who_is_not_admitted_is_rejected_with_the_right_reason(
    listen: Start, associate: Start, recorder: Any, calling: str, called: str, reason: int
) -> None:
    peer = Peer(name="scanner", aet="CT1", host="127.0.0.1", port=104)
    listener = listen(peers=(peer,), accept_unknown=False)

    with capture_logs() as logs:
        association = associate(listener, calling=calling, called=called)

    assert association.is_rejected
    answer = association.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, reason)
    assert recorder.news == []
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["association_rejected"]
    assert associate(listener).send_c_echo().Status == 0x0000


def test_one_association_too_many_is_rejected_for_now(listen: Start, associate: Start) -> None:
    listener = listen(maximum_associations=1)
    first = associate(listener)

    second = associate(listener)

    assert first.is_established
    answer = second.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OutOfResources("disk: 1 GB free, 5 GB needed"), 0xA700),
        (CannotUnderstand("no"), 0xC000),
        (NotAuthorised("this peer may not store"), 0x0124),
        (OSError(errno.ENOSPC, "No space left on device"), 0xA700),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 0xA700),
        (OSError(errno.EROFS, "Read-only file system"), 0xA700),
        (OSError(errno.EIO, "Input/output error"), 0xA700),
        (RuntimeError("something else"), 0x0110),
    ],
)
def test_what_the_intake_will_not_keep_is_refused_with_a_comment(
    listen: Start, associate: Start, ct: Make, recorder: Any, error: Exception, status: int
) -> None:
    recorder.refuse_with = error
    association = associate(listen())

    answer = association.send_c_store(ct())

    assert answer.Status == status
    assert 0 < len(answer.ErrorComment) <= 64
    recorder.refuse_with = None
    assert association.send_c_store(ct()).Status == 0x0000


def test_an_intake_that_cannot_open_aborts_the_association(
    listen: Start, associate: Start, recorder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_association: object) -> None:
        raise RuntimeError("database is locked")

    monkeypatch.setattr(recorder, "opened", fail)
    association = associate(listen())

    association.join(10)

    assert association.is_aborted
    assert recorder.news == []


def test_a_missing_study_uid_is_refused_naming_the_element(listen: Start, associate: Start, ct: Make) -> None:
    ds = ct()
    del ds.StudyInstanceUID

    answer = associate(listen()).send_c_store(ds)

    assert (answer.Status, answer.OffendingElement) == (0xC000, 0x0020000D)
    assert "StudyInstanceUID" in answer.ErrorComment


def raw_store(association: Any, ds: Dataset, **command: Any) -> Any:
    """A C-STORE whose command set says what it likes."""
    from io import BytesIO

    request = C_STORE()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    for keyword, value in command.items():
        setattr(request, keyword, value)
    encoded = dsutils.encode(ds, False, True)
    assert encoded is not None
    request.DataSet = BytesIO(encoded)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return response


@pytest.mark.parametrize(
    ("command", "offending"),
    [
        ({"AffectedSOPClassUID": MRImageStorage}, 0x00080016),
        ({"AffectedSOPInstanceUID": "1.9"}, 0x00080018),
    ],
)
def test_a_command_that_contradicts_its_data_set_is_refused(
    listen: Start, associate: Start, ct: Make, command: dict[str, str], offending: int
) -> None:
    response = raw_store(associate(listen()), ct(), **command)

    assert (response.Status, response.OffendingElement) == (0xA900, offending)


def test_a_data_set_of_another_class_than_its_context_is_refused(listen: Start, associate: Start, ct: Make) -> None:
    ds = ct()
    ds.SOPClassUID = MRImageStorage

    assert raw_store(associate(listen()), ds).Status == 0xA900


def test_a_store_that_names_no_instance_gets_an_answer(listen: Start, associate: Start, ct: Make) -> None:
    association = associate(listen())

    response = raw_store(association, ct(), AffectedSOPInstanceUID=None)

    assert response.Status == 0x0212
    assert association.send_c_store(ct()).Status == 0x0000


@pytest.mark.parametrize("room_bytes", [0, 1000])
def test_a_disk_that_fills_up_during_reception_means_out_of_resources_and_the_node_recovers(
    listen: Start,
    associate: Start,
    ct: Make,
    incoming: Path,
    monkeypatch: pytest.MonkeyPatch,
    room_bytes: int,
) -> None:
    association, taken, write = associate(listen()), [0], spool.Spooled._write

    def until_full(spooled: spool.Spooled, content: bytes | memoryview) -> None:
        taken[0] += len(content)
        if taken[0] > room_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(spooled, content)

    with monkeypatch.context() as full:
        full.setattr(spool.Spooled, "_write", until_full)
        answer = association.send_c_store(ct())

    assert answer.Status == 0xA700
    assert "No space left" in answer.ErrorComment
    assert list(incoming.iterdir()) == []
    assert association.send_c_store(ct()).Status == 0x0000


def test_a_disk_on_which_no_file_can_be_made_means_out_of_resources(
    listen: Start, associate: Start, ct: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    association = associate(listen())
    monkeypatch.setattr(spool, "_create", refuse)

    assert association.send_c_store(ct()).Status == 0xA700


def test_an_abort_in_the_middle_of_an_object_leaves_no_file_behind(
    listen: Start, associate: Start, ct: Make, recorder: Any, incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = threading.Event()
    write = spool.Spooled.write

    def write_and_tell(spooled: spool.Spooled, data: bytes | memoryview) -> None:
        write(spooled, data)
        started.set()

    monkeypatch.setattr(spool.Spooled, "write", write_and_tell)
    association = associate(listen())
    request = C_STORE()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CTImageStorage, "1.2"
    from io import BytesIO

    from pynetdicom.dimse_messages import C_STORE_RQ

    request.DataSet = BytesIO(bytes(50_000))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    fragments = list(message.encode_msg(association.accepted_contexts[0].context_id, 16384))
    for fragment in fragments[:-1]:
        association.dul.send_pdu(fragment)
    assert started.wait(10)

    association.abort()

    assert recorder.closed_event.wait(10)
    assert list(incoming.iterdir()) == []
    assert recorder.accepted == {}


def test_a_connection_that_says_nothing_is_closed(listen: Start) -> None:
    listener = listen(acse_timeout_seconds=0.2)
    with socket.create_connection(("127.0.0.1", listener.port), 10) as silent:
        assert silent.recv(1) == b""


def test_a_peer_that_stalls_inside_a_pdu_does_not_hold_the_listener(
    listen: Start, associate: Start, recorder: Any
) -> None:
    listener = listen(network_timeout_seconds=0.3)
    association = associate(listener)
    association.dul.socket.socket.sendall(b"\x04\x00\x00\x00\xff\xff\x00")

    assert recorder.closed_event.wait(10)
    assert associate(listener).send_c_echo().Status == 0x0000


def test_garbage_instead_of_dicom_is_survived(listen: Start, associate: Start) -> None:
    listener = listen(acse_timeout_seconds=0.5)
    with socket.create_connection(("127.0.0.1", listener.port), 10) as browser:
        browser.sendall(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n")
        while browser.recv(4096):
            pass
    assert associate(listener).send_c_echo().Status == 0x0000


def test_a_taken_port_is_a_fault_of_the_configuration(listen: Start) -> None:
    first = listen()

    with pytest.raises(ConfigError, match=f"127.0.0.1:{first.port}"):
        listen(port=first.port)


def test_stopping_lets_an_association_finish(listen: Start, associate: Start, ct: Make, recorder: Any) -> None:
    listener = listen()
    association = associate(listener)
    stopping = threading.Thread(target=listener.stop, args=(20,))
    stopping.start()

    status = association.send_c_store(ct())
    association.release()
    stopping.join(20)

    assert status.Status == 0x0000
    assert not stopping.is_alive()
    assert recorder.news[-1] == "closed CT1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listener.port), 5)


def test_stopping_aborts_what_does_not_finish_in_time(listen: Start, associate: Start, recorder: Any) -> None:
    listener = listen()
    association = associate(listener)

    listener.stop(0)

    association.join(10)
    assert association.is_aborted
    assert recorder.news == ["opened CT1", "closed CT1"]


def test_stopping_does_not_wait_for_a_peer_that_stalls_inside_a_pdu(
    listen: Start, associate: Start, recorder: Any
) -> None:
    listener = listen(network_timeout_seconds=600.0)
    association = associate(listener)
    assert recorder.opened_event.wait(10)
    association.dul.socket.socket.sendall(b"\x04\x00\x00\x00\xff\xff\x00")

    listener.stop(0)

    assert recorder.news == ["opened CT1", "closed CT1"]


def test_the_same_port_can_be_listened_on_again(listen: Start, associate: Start) -> None:
    first = listen()
    port = first.port
    first.stop(0)

    assert associate(listen(port=port)).send_c_echo().Status == 0x0000


def test_no_log_line_names_the_patient(
    listen: Start, associate: Start, ct: Make, recorder: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    logging.getLogger("pynetdicom").setLevel(logging.DEBUG)
    listener = listen()
    with capture_logs() as logs:
        association = associate(listener)
        association.send_c_store(ct())
        recorder.refuse_with = RuntimeError("unexpected")
        association.send_c_store(ct(2))
        association.release()
        recorder.closed_event.wait(10)

    told = repr(logs) + caplog.text
    assert "store_refused" in told
    assert not [secret for secret in ("LOGME", "SECRET-ID", "19010203") if secret in told]
