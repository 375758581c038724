"""Deliveries to peers that answer everything a peer can answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)
from pynetdicom import AE, evt

from dicomnode.deliver.dial import Dialled
from dicomnode.deliver.dimse import Outgoing, Timeouts, echo, send
from dicomnode.domain.errors import DeliveryError, PeerUnreachable
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Receipt

Start = Callable[..., Any]
Serve = Callable[..., Peer]


def peer_at(port: int) -> Peer:
    return Peer(name="pacs", aet="PACS", host="127.0.0.1", port=port)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a pynetdicom SCP; `answer` makes the status of the n-th object, counted from 1."""
    servers = []

    def start(
        answer: Callable[[int, evt.Event], Any] = lambda number, event: 0x0000,
        *,
        sop_class: str = CTImageStorage,
        syntaxes: tuple[str, ...] = (ExplicitVRLittleEndian,),
        called: bool = False,
        limit: int = 10,
    ) -> Peer:
        ae = AE(ae_title="OTHER" if called else "PACS")
        ae.require_called_aet = called
        ae.maximum_associations = limit
        ae.add_supported_context(sop_class, list(syntaxes))
        ae.add_supported_context("1.2.840.10008.1.1")
        count = iter(range(1, 1000))
        handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, lambda event: answer(next(count), event))]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        servers.append((ae, server))
        return peer_at(server.server_address[1])

    yield start
    for ae, _ in servers:
        ae.shutdown()


@pytest.fixture
def deliver(timeouts: Timeouts) -> Callable[..., list[Receipt]]:
    def run(peer: Peer, *files: Outgoing) -> list[Receipt]:
        return list(send(peer, files, calling_aet="NODE", timeouts=timeouts))

    return run


def test_the_bytes_that_were_kept_are_the_bytes_that_arrive(
    listen: Start, outgoing: Start, recorder: Any, deliver: Start, digest_of: Start
) -> None:
    files = [outgoing(1), outgoing(2, ImplicitVRLittleEndian), outgoing(3, DeflatedExplicitVRLittleEndian)]

    receipts = deliver(peer_at_node(listen()), *files)

    assert [(receipt.sop_instance_uid, receipt.status, receipt.stored) for receipt in receipts] == [
        (file.sop_instance_uid, 0x0000, True) for file in files
    ]
    for file in files:
        arrival = recorder.accepted[file.sop_instance_uid]
        assert (arrival.digest, arrival.transfer_syntax_uid) == (digest_of(file.path), file.transfer_syntax_uid)


@pytest.mark.parametrize("folder", ["JPLL", "JPLY", "RLE", "JLSL", "JLSN", "J2KR", "J2KI", "REF"])
def test_real_compressed_objects_go_out_and_come_in_byte_for_byte(
    listen: Start, recorder: Any, deliver: Start, digest_of: Start, real_data: Path, folder: str
) -> None:
    files = []
    for path in sorted((real_data / "wg04" / folder).iterdir()):
        meta = read_file_meta_info(path)
        files.append(
            Outgoing(
                sop_class_uid=meta.MediaStorageSOPClassUID,
                sop_instance_uid=meta.MediaStorageSOPInstanceUID,
                transfer_syntax_uid=meta.TransferSyntaxUID,
                path=path,
            )
        )

    receipts = deliver(peer_at_node(listen()), *files)

    assert [receipt.stored for receipt in receipts] == [True] * len(files)
    for file in files:
        arrival = recorder.accepted[file.sop_instance_uid]
        assert (arrival.digest, arrival.transfer_syntax_uid) == (digest_of(file.path), file.transfer_syntax_uid)


def peer_at_node(listener: Any) -> Peer:
    return Peer(name="node", aet="NODE", host="127.0.0.1", port=listener.port)


@pytest.mark.parametrize(
    ("status", "stored", "final"),
    [
        (0x0000, True, False),
        (0xB000, True, False),
        (0xB007, True, False),
        (0xA700, False, False),
        (0x0213, False, False),
        (0xA900, False, True),
        (0xC123, False, True),
        (0x0110, False, False),
        (0x0124, False, True),
    ],
)
def test_each_status_becomes_a_receipt(
    serve: Serve, outgoing: Start, deliver: Start, status: int, stored: bool, final: bool
) -> None:
    def answer(_number: int, _event: evt.Event) -> Dataset:
        told = Dataset()
        told.Status, told.ErrorComment = status, "said the peer"
        return told

    (receipt,) = deliver(serve(answer), outgoing())

    assert (receipt.status, receipt.stored, receipt.final) == (status, stored, final)
    assert receipt.text.startswith(f"{status:04X} ")
    assert receipt.words.endswith(": said the peer")
    assert "said the peer" not in receipt.text + repr(receipt)


def test_one_refusal_does_not_stop_the_others(serve: Serve, outgoing: Start, deliver: Start) -> None:
    peer = serve(lambda number, event: 0xA900 if number == 2 else 0x0000)

    receipts = deliver(peer, outgoing(1), outgoing(2), outgoing(3))

    assert [receipt.stored for receipt in receipts] == [True, False, True]


def test_an_abort_half_way_says_what_had_arrived(serve: Serve, outgoing: Start, timeouts: Timeouts) -> None:
    def answer(number: int, event: evt.Event) -> int:
        if number == 2:
            event.assoc.abort()
        return 0x0000

    receipts = []
    with pytest.raises(PeerUnreachable, match=r"pacs \(PACS at 127\.0\.0\.1:\d+\): association aborted by"):
        for receipt in send(
            serve(answer), [outgoing(1), outgoing(2), outgoing(3)], calling_aet="NODE", timeouts=timeouts
        ):
            receipts.append(receipt)

    assert [(receipt.sop_instance_uid, receipt.stored) for receipt in receipts] == [("1.2.3.4.1", True)]


def test_a_peer_that_does_not_answer_a_store_times_out(serve: Serve, outgoing: Start) -> None:
    answered = threading.Event()

    def answer(_number: int, _event: evt.Event) -> int:
        answered.wait(10)
        return 0x0000

    short = Timeouts(connect_seconds=5, acse_seconds=5, dimse_seconds=0.3)
    with pytest.raises(PeerUnreachable, match=r"no answer within 0\.3 s"):
        list(send(serve(answer), [outgoing()], calling_aet="NODE", timeouts=short))
    answered.set()


def test_a_class_that_the_peer_does_not_take_is_final_and_the_rest_goes_on(
    serve: Serve, outgoing: Start, deliver: Start
) -> None:
    other = outgoing(2, SOPClassUID=MRImageStorage)
    ds = dcmread(other.path)
    ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
    ds.save_as(other.path)
    other = Outgoing(
        sop_class_uid=MRImageStorage,
        sop_instance_uid=other.sop_instance_uid,
        transfer_syntax_uid=other.transfer_syntax_uid,
        path=other.path,
    )

    mr, ct = deliver(serve(), other, outgoing(1))

    assert (mr.status, mr.stored, mr.final) == (None, False, True)
    assert "MR Image Storage in Explicit VR Little Endian: SOP class not supported" in mr.text
    assert ct.stored


def test_a_peer_that_accepts_no_context_gives_a_receipt_per_file(serve: Serve, outgoing: Start, deliver: Start) -> None:
    peer = serve(sop_class=MRImageStorage)

    receipts = deliver(peer, outgoing(1), outgoing(2))

    assert [(receipt.status, receipt.final) for receipt in receipts] == [(None, True), (None, True)]


@pytest.mark.parametrize("kept", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_an_uncompressed_object_is_converted_for_a_peer_that_only_knows_implicit(
    serve: Serve, outgoing: Start, deliver: Start, kept: str
) -> None:
    got: list[Dataset] = []

    def answer(_number: int, event: evt.Event) -> int:
        got.append(event.dataset)
        got[-1].file_meta = event.file_meta
        return 0x0000

    file = outgoing(syntax=kept)

    (receipt,) = deliver(serve(answer, syntaxes=(ImplicitVRLittleEndian,)), file)

    assert receipt.stored
    assert got[0].file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert got[0] == dcmread(file.path)


def test_explicit_is_preferred_for_converting(serve: Serve, outgoing: Start, deliver: Start) -> None:
    syntaxes: list[str] = []

    def answer(_number: int, event: evt.Event) -> int:
        syntaxes.append(event.context.transfer_syntax)
        return 0x0000

    peer = serve(answer, syntaxes=(ImplicitVRLittleEndian, ExplicitVRLittleEndian))

    (receipt,) = deliver(peer, outgoing(syntax=DeflatedExplicitVRLittleEndian))

    assert receipt.stored
    assert syntaxes == [ExplicitVRLittleEndian]


def test_a_compressed_object_is_never_converted(serve: Serve, outgoing: Start, deliver: Start) -> None:
    file = outgoing()
    content = file.path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")
    file.path.write_bytes(content)
    rle = Outgoing(
        sop_class_uid=file.sop_class_uid,
        sop_instance_uid=file.sop_instance_uid,
        transfer_syntax_uid="1.2.840.10008.1.2.5",
        path=file.path,
    )

    (receipt,) = deliver(serve(), rle)

    assert (receipt.status, receipt.final) == (None, True)
    assert "RLE Lossless" in receipt.text


def test_a_missing_file_is_named_and_what_went_before_stays_sent(
    serve: Serve, outgoing: Start, timeouts: Timeouts
) -> None:
    gone = outgoing(2)
    gone.path.unlink()
    receipts = send(serve(), [outgoing(1), gone], calling_aet="NODE", timeouts=timeouts)

    assert next(receipts).stored
    with pytest.raises(DeliveryError, match=r"2\.dcm: No such file"):
        next(receipts)


def test_a_file_that_holds_another_object_is_not_sent(serve: Serve, outgoing: Start, deliver: Start) -> None:
    first, second = outgoing(1), outgoing(2)
    mixed = Outgoing(
        sop_class_uid=first.sop_class_uid,
        sop_instance_uid=first.sop_instance_uid,
        transfer_syntax_uid=first.transfer_syntax_uid,
        path=second.path,
    )

    with pytest.raises(DeliveryError, match=r"holds .* 1\.2\.3\.4\.2 .*, expected .* 1\.2\.3\.4\.1 "):
        deliver(serve(), mixed)


def test_a_file_that_is_no_dicom_is_named(serve: Serve, outgoing: Start, deliver: Start) -> None:
    file = outgoing()
    file.path.write_text("nothing")

    with pytest.raises(DeliveryError, match=r"1\.dcm: not a DICOM file"):
        deliver(serve(), file)


def test_nothing_to_send_opens_no_association(deliver: Start) -> None:
    assert deliver(peer_at(1)) == []


def test_an_echo_takes_some_time(serve: Serve, timeouts: Timeouts) -> None:
    assert 0 < echo(serve(), calling_aet="NODE", timeouts=timeouts) < timeouts.dimse_seconds


def test_a_closed_port_is_told_from_a_rejection(serve: Serve, timeouts: Timeouts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(PeerUnreachable, match="no TCP connection: Connection refused"):
        echo(peer_at(port), calling_aet="NODE", timeouts=timeouts)
    with pytest.raises(PeerUnreachable, match="rejected permanently: called AE title not recognised"):
        echo(serve(called=True), calling_aet="NODE", timeouts=timeouts)
    busy = serve(limit=1)
    ae = AE()
    ae.add_requested_context("1.2.840.10008.1.1")
    other = ae.associate(busy.host, busy.port, ae_title=busy.aet)
    with pytest.raises(PeerUnreachable, match="rejected for now: local limit exceeded"):
        echo(busy, calling_aet="NODE", timeouts=timeouts)
    other.release()


def test_a_rejection_is_told_as_one_although_the_connection_has_ended_before_anybody_looked(
    listen: Start, timeouts: Timeouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that asked for the association may get no turn until the network thread is through with it."""
    ended = threading.Event()

    class Late(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return super().wait(timeout) and ended.wait(20)

    class Hasty(Dialled):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            self._ready = Late()

        def close(self) -> None:
            super().close()
            ended.set()

    monkeypatch.setattr("dicomnode.deliver.dial.Dialled", Hasty)
    listener = listen(accept_unknown=False)

    with pytest.raises(PeerUnreachable, match="rejected permanently: calling AE title not recognised"):
        echo(peer_at_node(listener), calling_aet="STRANGER", timeouts=timeouts)


def test_a_host_that_does_not_exist_is_unreachable(timeouts: Timeouts) -> None:
    peer = Peer(name="pacs", aet="PACS", host="no-such-host.invalid", port=104)

    with pytest.raises(PeerUnreachable, match=r"pacs \(PACS at no-such-host\.invalid:104\)"):
        echo(peer, calling_aet="NODE", timeouts=timeouts)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_silent_peer_times_out(silent: int) -> None:
    short = Timeouts(connect_seconds=5, acse_seconds=0.3, dimse_seconds=5)

    with pytest.raises(PeerUnreachable, match=r"no answer to the association request within 0\.3 s"):
        echo(peer_at(silent), calling_aet="NODE", timeouts=short)


def test_a_peer_that_hangs_up_is_told_from_a_silent_one(timeouts: Timeouts) -> None:
    def hang_up(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.recv(1)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=hang_up, args=(server,))
        thread.start()
        with pytest.raises(PeerUnreachable, match="closed the connection without answering"):
            echo(peer_at(server.getsockname()[1]), calling_aet="NODE", timeouts=timeouts)
        thread.join(10)


def test_an_impossible_ae_title_is_named(timeouts: Timeouts) -> None:
    with pytest.raises(DeliveryError, match="calling AE title"):
        echo(peer_at(1), calling_aet="MUCH_TOO_LONG_FOR_A_TITLE", timeouts=timeouts)


def test_dcmtk_storescp_keeps_what_is_sent(
    outgoing: Start, deliver: Start, dcmtk_storescp: Callable[..., tuple[Peer, Path]], digest_of: Start
) -> None:
    files = [outgoing(1), outgoing(2, ImplicitVRLittleEndian)]
    peer, folder = dcmtk_storescp("+B")

    receipts = deliver(peer, *files)

    assert [receipt.status for receipt in receipts] == [0, 0]
    kept = sorted(digest_of(path) for path in folder.iterdir())
    assert kept == sorted(digest_of(file.path) for file in files)


def test_dcmtk_storescp_answers_an_echo(timeouts: Timeouts, dcmtk_storescp: Callable[..., tuple[Peer, Path]]) -> None:
    peer, _ = dcmtk_storescp()

    assert echo(peer, calling_aet="NODE", timeouts=timeouts) > 0


def test_dcmtk_storescp_that_aborts_half_way_leaves_valid_receipts(
    outgoing: Start, timeouts: Timeouts, dcmtk_storescp: Callable[..., tuple[Peer, Path]]
) -> None:
    peer, _ = dcmtk_storescp("--abort-after")

    with pytest.raises(PeerUnreachable):
        list(send(peer, [outgoing()], calling_aet="NODE", timeouts=timeouts))
