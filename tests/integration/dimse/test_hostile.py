"""The listener and peers that are slow, silent, greedy or wrong: each loses its connection, nobody else notices."""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode
from structlog.testing import capture_logs

from tests.fuzz import wire

Start = Callable[..., Any]
Make = Callable[..., Dataset]

ABORT = 0x07


def request_bytes() -> bytes:
    """An A-ASSOCIATE-RQ for CT images and echoes."""
    return wire.associate_rq(b"CT1")


def pdata(control: int, content: bytes, context_id: int = wire.CT_CONTEXT) -> bytes:
    """A P-DATA-TF with one fragment."""
    return wire.pdata((context_id, control, content))


def store_command() -> bytes:
    return wire.command(wire.C_STORE, wire.CT, data=True)


def echo_command() -> bytes:
    return wire.command(wire.C_ECHO, wire.VERIFICATION)


class Raw:
    """A peer that writes bytes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 20)

    def associated(self) -> Raw:
        self.socket.sendall(request_bytes())
        assert self.pdu() == 0x02
        return self

    def is_accepted(self) -> bool:
        """Whether an association is accepted; a connection that was turned away may be gone before it is asked for."""
        with suppress(ConnectionError):
            self.socket.sendall(request_bytes())
        return self.pdu() == 0x02

    def pdu(self) -> int:
        """Type of the next PDU; 0 when the connection is closed."""
        try:
            head = self.socket.recv(6, socket.MSG_WAITALL)
            if len(head) < 6:
                return 0
            self.socket.recv(int.from_bytes(head[2:], "big"), socket.MSG_WAITALL)
        except ConnectionResetError:
            return 0
        return head[0]

    def until_closed(self) -> list[int]:
        kinds = []
        while kind := self.pdu():
            kinds.append(kind)
        return kinds

    def dribble(self, content: bytes, every_seconds: float) -> float:
        """Send a byte now and then until the node hangs up; how long it took."""
        begun, gone = time.monotonic(), Event()

        def send() -> None:
            for value in content:
                try:
                    self.socket.sendall(bytes([value]))
                except OSError:
                    return
                if gone.wait(every_seconds):
                    return

        sender = Thread(target=send)
        sender.start()
        self.until_closed()
        gone.set()
        sender.join(10)
        return time.monotonic() - begun


@pytest.fixture
def raw() -> Any:
    opened: list[Raw] = []

    def connect(listener: Any) -> Raw:
        opened.append(Raw(listener.port))
        return opened[-1]

    yield connect
    for each in opened:
        each.socket.close()


def test_a_request_for_an_association_that_is_dribbled_ends_with_the_time_for_one(
    listen: Start, raw: Start, associate: Start
) -> None:
    listener = listen(acse_timeout_seconds=1.5, network_timeout_seconds=600)

    assert raw(listener).dribble(request_bytes(), 0.05) < 5
    assert associate(listener).send_c_echo().Status == 0


def test_the_head_of_a_pdu_that_is_dribbled_ends_the_association(listen: Start, raw: Start, recorder: Any) -> None:
    listener = listen(network_timeout_seconds=0.5)
    peer = raw(listener).associated()

    assert peer.dribble(pdata(0, bytes(4000)), 0.05) < 5
    assert recorder.closed_event.wait(10)


def test_a_data_set_that_is_dribbled_in_whole_pdus_ends_the_association(
    listen: Start, raw: Start, recorder: Any, incoming: Path
) -> None:
    listener = listen(network_timeout_seconds=0.5)
    peer = raw(listener).associated()
    peer.socket.sendall(pdata(3, store_command()))
    gone = Event()

    def send() -> None:
        while not gone.wait(0.05):
            try:
                peer.socket.sendall(pdata(0, b"\0"))
            except OSError:
                return

    sender = Thread(target=send)
    sender.start()
    begun = time.monotonic()
    peer.until_closed()
    gone.set()
    sender.join(10)

    assert time.monotonic() - begun < 5
    assert recorder.closed_event.wait(10)
    assert list(incoming.iterdir()) == []


def test_a_slow_data_set_at_the_price_of_its_bytes_is_taken(listen: Start, raw: Start, recorder: Any) -> None:
    listener = listen(network_timeout_seconds=0.4, slowest_bytes_per_second=1000)
    peer = raw(listener).associated()
    peer.socket.sendall(pdata(3, store_command()))
    pause = Event()
    for _ in range(10):
        pause.wait(0.1)
        peer.socket.sendall(pdata(0, bytes(200)))
    peer.socket.sendall(pdata(2, bytes(200)))

    assert peer.pdu() == 0x04  # an answer: it is no data set, but it was waited for


@pytest.mark.parametrize("kind", [1, 4, 5, 7])
def test_a_pdu_that_announces_4_gib_is_refused_unread_and_allocates_nothing(
    listen: Start, raw: Start, kind: int
) -> None:
    listener = listen()
    peer = raw(listener) if kind == 1 else raw(listener).associated()
    tracemalloc.start()
    try:
        peer.socket.sendall(struct.pack(">BxL", kind, 0xFFFFFFFF))
        assert peer.until_closed() == [ABORT]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_a_pdu_of_many_fragments_takes_no_more_room_than_its_bytes(listen: Start, raw: Start, recorder: Any) -> None:
    peer = raw(listen()).associated()
    peer.socket.sendall(pdata(3, store_command()))
    fragments = pdata(0, b"")[6:] * ((1 << 20) // 6)
    tracemalloc.start()
    try:
        peer.socket.sendall(struct.pack(">BxL", 4, len(fragments)) + fragments)
        peer.socket.sendall(pdata(2, b""))
        assert peer.pdu() == 0x04
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_a_file_that_cannot_be_removed_holds_no_place(
    listen: Start, raw: Start, associate: Start, recorder: Any, incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    listener = listen(maximum_associations=1)
    peer = raw(listener).associated()
    peer.socket.sendall(pdata(3, store_command()) + pdata(0, bytes(200)))
    while not list(incoming.iterdir()):
        time.sleep(0.01)
    with monkeypatch.context() as read_only, capture_logs() as logs:
        read_only.setattr(os, "unlink", refuse)
        peer.socket.close()
        assert recorder.closed_event.wait(10)
    assert "received_file_not_removed" in {line["event"] for line in logs}
    assert associate(listener).send_c_echo().Status == 0


def test_a_request_with_too_many_contexts_is_aborted(listen: Start, raw: Start) -> None:
    whole = request_bytes()
    context = b"\x20\x00" + struct.pack(">H", 4) + bytes(4)
    body = whole[6:] + context * 200
    peer = raw(listen())
    peer.socket.sendall(struct.pack(">BxL", 1, len(body)) + body)

    assert peer.until_closed() == [ABORT]


@pytest.mark.parametrize("syntaxes", [b"", wire.item(0x40, wire.IMPLICIT), wire.item(0x30, b"")])
def test_a_request_with_a_context_for_nothing_is_aborted(listen: Start, raw: Start, syntaxes: bytes) -> None:
    listener = listen()
    peer, whole = raw(listener), request_bytes()
    body = whole[6:] + wire.item(0x20, bytes([5, 0, 0, 0]) + syntaxes)
    with capture_logs() as logs:
        peer.socket.sendall(struct.pack(">BxL", 1, len(body)) + body)
        assert peer.until_closed() == [ABORT]
    assert [line["event"] for line in logs] == ["pdu_refused"]
    assert raw(listener).is_accepted()


def test_an_object_over_the_limit_is_refused_with_a_status_and_leaves_nothing(
    listen: Start, associate: Start, ct: Make, recorder: Any, incoming: Path
) -> None:
    association = associate(listen(maximum_object_bytes=2 << 20))
    large = ct()
    large.PixelData = bytes((2 << 20) + 2)

    answer = association.send_c_store(large)

    assert (answer.Status, answer.ErrorComment) == (0xA700, "object: longer than 2 MiB, the limit here")
    assert association.send_c_store(ct()).Status == 0
    assert list(recorder.accepted) == ["1.2.3.4.1"]
    assert list(incoming.iterdir()) == []


def test_an_object_without_end_is_hung_up_on(listen: Start, raw: Start, recorder: Any, incoming: Path) -> None:
    peer = raw(listen(maximum_object_bytes=1 << 20)).associated()
    peer.socket.sendall(pdata(3, store_command()))

    def send() -> None:
        while True:
            try:
                peer.socket.sendall(pdata(0, bytes(100_000)))
            except OSError:
                return

    sender = Thread(target=send)
    sender.start()
    kinds = peer.until_closed()
    peer.socket.close()
    sender.join(10)

    assert set(kinds) <= {ABORT}
    assert recorder.closed_event.wait(10)
    assert list(incoming.iterdir()) == []


@pytest.mark.parametrize(
    "fragments",
    [
        [(0, b"data without a command")],
        [(1, bytes(60_000)), (1, bytes(60_000))],
        [(3, b"no command set")],
        [(3, b"")],
        [(3, store_command()), (3, store_command())],
        [(3, store_command()), (1, b"\0")],
    ],
    ids=["data first", "endless command", "garbage", "empty", "command twice", "command within data"],
)
def test_messages_out_of_order_are_aborted(
    listen: Start, raw: Start, recorder: Any, incoming: Path, fragments: list[tuple[int, bytes]]
) -> None:
    peer = raw(listen()).associated()
    for control, content in fragments:
        peer.socket.sendall(pdata(control, content))

    assert ABORT in peer.until_closed()
    assert recorder.closed_event.wait(10)
    assert list(incoming.iterdir()) == []


def test_a_fragment_without_its_header_is_aborted(listen: Start, raw: Start, recorder: Any) -> None:
    peer = raw(listen()).associated()
    peer.socket.sendall(struct.pack(">BxLLB", 4, 5, 1, 1))

    assert ABORT in peer.until_closed()
    assert recorder.closed_event.wait(10)


def test_requests_without_waiting_for_answers_are_not_queued_without_end(
    listen: Start, raw: Start, recorder: Any
) -> None:
    peer = raw(listen()).associated()
    flood = pdata(3, echo_command(), wire.ECHO_CONTEXT)[6:] * 2000
    peer.socket.sendall(struct.pack(">BxL", 4, len(flood)) + flood)

    assert ABORT in peer.until_closed()
    assert recorder.closed_event.wait(10)


def test_a_report_of_an_event_starts_no_thread_of_its_own(listen: Start, raw: Start, recorder: Any) -> None:
    command = wire.command(wire.N_EVENT_REPORT, b"1.2.840.10008.1.20.1")
    peer = raw(listen()).associated()
    peer.socket.sendall(pdata(3, command))
    peer.socket.sendall(pdata(3, echo_command(), wire.ECHO_CONTEXT))

    assert peer.pdu() in {0x04, ABORT}


def test_one_peer_does_not_take_all_associations(listen: Start, associate: Start) -> None:
    listener = listen(maximum_associations=3, maximum_associations_per_peer=1)
    first = associate(listener)

    with capture_logs() as logs:
        second = associate(listener)

    answer = second.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)
    assert [line["reason"] for line in logs if line["event"] == "association_rejected"] == [
        "1 associations of 127.0.0.1 are open, the limit is 1"
    ]
    first.release()


def test_silent_connections_are_turned_away_and_take_no_association(
    listen: Start, raw: Start, associate: Start
) -> None:
    listener = listen(maximum_associations=2, maximum_associations_per_peer=2)
    silent = [raw(listener) for _ in range(3)]
    association = associate(listener)

    assert raw(listener).until_closed() == []
    assert association.send_c_echo().Status == 0
    for each in silent:
        each.socket.close()
    until = time.monotonic() + 10
    while not raw(listener).is_accepted():
        assert time.monotonic() < until


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """So many files may be open as 1000 connections need at both their ends."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 8192:
        pytest.skip(f"only {before[1]} files may be open here, 8192 are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_descriptors")
def test_among_1000_idle_connections_an_object_is_stored(listen: Start, raw: Start, ct: Make, recorder: Any) -> None:
    listener = listen(maximum_associations=600, maximum_associations_per_peer=600, acse_timeout_seconds=300)
    idle = [raw(listener) for _ in range(1000)]

    # Both its ends have descriptors beyond what select(2) can take.
    peer = raw(listener).associated()
    image = ct()
    image.SOPInstanceUID = "1.2.3.4.1"
    content = encode(image, False, True)
    assert content is not None
    peer.socket.sendall(pdata(3, store_command()) + pdata(2, content))

    assert peer.pdu() == 0x04
    assert list(recorder.accepted) == ["1.2.3.4.1"]
    assert idle[-1].is_accepted()
    for each in idle:
        each.socket.close()


@pytest.mark.usefixtures("many_descriptors")
def test_a_flood_of_1000_connections_from_one_address_leaves_room_for_the_others(listen: Start, raw: Start) -> None:
    listener = listen(maximum_associations=25, maximum_associations_per_peer=20, acse_timeout_seconds=300)
    flood = [raw(listener) for _ in range(1000)]

    with socket.create_connection(("127.0.0.1", listener.port), 20, ("127.0.0.2", 0)) as other:
        other.sendall(request_bytes())
        assert other.recv(1) == b"\x02"

    waiting = sum(not select.select([each.socket], [], [], 0)[0] for each in flood if each.socket.fileno() < 1024)
    assert waiting <= 40, "two for each association that the address may have"


def test_who_still_sends_after_a_rejection_is_not_reset_before_it_can_read_it(
    listen: Start, raw: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomnode.receive.waiting.LINGER_SECONDS", 20.0)
    peer = raw(listen(accept_unknown=False))
    peer.socket.sendall(request_bytes())

    assert peer.until_closed() == [0x03]
    for _ in range(10):
        peer.socket.sendall(bytes(1000))
    assert peer.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_who_does_not_close_after_a_rejection_is_closed_on(listen: Start, raw: Start) -> None:
    listener = listen(accept_unknown=False, maximum_associations=1, maximum_associations_per_peer=1)
    staying = [raw(listener) for _ in range(2)]
    for peer in staying:
        peer.socket.sendall(request_bytes())
        assert peer.until_closed() == [0x03]

    until = time.monotonic() + 20
    kinds: list[int] = []
    while not kinds:
        assert time.monotonic() < until
        late = raw(listener)
        with suppress(ConnectionError):
            late.socket.sendall(request_bytes())
            kinds = late.until_closed()
    assert kinds == [0x03]
