"""STOW-RS over the wire: who may, what is answered, and what nobody has to put up with."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from dicomnode.domain.errors import ConfigError, OutOfResources, Refused
from dicomnode.domain.network import Association, Peer, Tls, TurnedAway
from dicomnode.domain.study import Arrival
from dicomnode.receive.census import Census
from dicomnode.receive.limits import Limits
from dicomnode.receive.tally import Tally
from dicomnode.tls.credentials import Credentials
from dicomnode.web.stow import Reception
from dicomnode.web.stow_listener import StowListener
from dicomnode.web.stow_port import listening
from tests.certificates import Authority
from tests.unit.receive.posted import Kept, body, data_set, instance

CT1 = Peer(name="CT1", aet="CT1", host="127.0.0.1", port=104, token="ct1")
AFAR = Peer(name="AFAR", aet="AFAR", host="10.0.0.9", port=104, token="afar")
BADGED = Peer(name="BADGED", aet="BADGED", host="127.0.0.1", port=104, certificate_subject="CN=badged")
RELATED = 'multipart/related; type="application/dicom"; boundary="b"'
HEADERS = {"Content-Type": RELATED, "Authorization": "Bearer ct1-secret"}
LIMITS = Limits(
    maximum_associations=2, maximum_object_bytes=1 << 20, network_timeout_seconds=0.5, slowest_bytes_per_second=0,
    acse_timeout_seconds=0.5,
)  # fmt: skip

Start = Callable[..., StowListener]


@pytest.fixture
def intake() -> Kept:
    return Kept()


@pytest.fixture
def turned_away() -> list[TurnedAway]:
    return []


@pytest.fixture
def start(intake: Kept, tmp_path: Path, turned_away: list[TurnedAway]) -> Iterator[Start]:
    """Starts listeners that know the tokens `ct1 secret` and `afar secret`."""
    started: list[StowListener] = []

    def known(token: str) -> str:
        return token.removesuffix("-secret") if token.endswith("-secret") else ""

    def begin(
        *, limits: Limits = LIMITS, credentials: Credentials | None = None, whose: Callable[[str], str] = known,
        tally: Tally | None = None,
    ) -> StowListener:  # fmt: skip
        (tmp_path / "incoming").mkdir(exist_ok=True)
        reception = Reception(
            intake=intake, incoming=tmp_path / "incoming", limits=limits, peers=(CT1, AFAR, BADGED),
            called_aet="NODE", whose=whose, tally=tally,
            on_turned_away=turned_away.append,
            census=Census(limits.maximum_associations, limits.maximum_associations_per_peer),
        )  # fmt: skip
        started.append(StowListener(reception, host="127.0.0.1", port=0, credentials=credentials))
        started[-1].start()
        return started[-1]

    yield begin
    for one in started:
        one.leave(2)
        one.stop()


def post(port: int, content: bytes, path: str = "/dicomweb/studies", token: str = "ct1-secret", **headers: str) -> Any:
    """The answer to a request: status, header and body."""
    given = {"Content-Type": RELATED, "Authorization": f"Bearer {token}"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("POST", path, content, {name: value for name, value in given.items() if value})
        answer = connection.getresponse()
        answer.text = answer.read()  # type: ignore[attr-defined]
        return answer


def talk(port: int, *pieces: bytes) -> bytes:
    """Send pieces as they are and read until the other side closes."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connection:
        for piece in pieces:
            connection.sendall(piece)
        found = b""
        try:
            while more := connection.recv(65536):
                found += more
        except ConnectionResetError:
            pass
        return found


def head(length: int | str, *, path: str = "/dicomweb/studies") -> bytes:
    """The head of a request."""
    size = f"Content-Length: {length}" if isinstance(length, int) else f"Transfer-Encoding: {length}"
    return f"POST {path} HTTP/1.1\r\nHost: n\r\nAuthorization: Bearer ct1-secret\r\nContent-Type: {RELATED}\r\n{size}\r\n\r\n".encode()  # noqa: E501


def test_a_client_of_others_stores_and_reads_the_answer(start: Start, intake: Kept) -> None:
    port = start(limits=Limits()).port
    client = DICOMwebClient(
        f"http://127.0.0.1:{port}/dicomweb", headers={"Authorization": "Bearer ct1-secret"}, chunk_size=1000
    )
    sent = [instance(number, bulk_bytes=5000) for number in (1, 2)]
    answer = client.store_instances([dcmread(DicomBytesIO(one)) for one in sent], study_instance_uid="1.2.3.4")
    assert [one.ReferencedSOPInstanceUID for one in answer.ReferencedSOPSequence] == ["1.2.3.4.1", "1.2.3.4.2"]
    assert intake.content == {f"1.2.3.4.{n}": data_set(one) for n, one in zip((1, 2), sent, strict=True)}
    (association,) = intake.associations
    assert (association.peer, association.calling_aet, association.called_aet) == ("CT1", "CT1", "NODE")
    assert intake.news[0] == "opened" and intake.news[-1] == "closed"


def test_answers_tell_what_was_kept(start: Start, intake: Kept) -> None:
    port = start().port
    assert post(port, body(instance())).status == 200
    assert post(port, body(instance(), b"x")).status == 202
    assert post(port, body(b"x")).status == 409
    assert post(port, body(instance()), "/dicomweb/studies/1.2.9").status == 409
    assert post(port, instance(), Content_Type="application/dicom").status == 200
    xml = post(port, body(instance()), Accept="application/dicom+xml")
    assert xml.getheader("Content-Type") == "application/dicom+xml" and b"NativeDicomModel" in xml.text

    def full(_arrival: Arrival) -> None:
        raise OutOfResources("full")

    intake.before = full
    answer = post(port, body(instance()))
    assert (answer.status, answer.getheader("Retry-After")) == (503, "120")
    assert json.loads(answer.text)["00081198"]["Value"][0]["00081197"]["Value"] == [0xA700]


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({"Authorization": ""}, "/studies", 401),
        ({"Authorization": "Bearer wrong"}, "/studies", 401),
        ({"Authorization": "Basic Y3QxOnNlY3JldA=="}, "/studies", 401),
        ({"token": "afar-secret"}, "/studies", 403),
        ({"token": "nobody-secret"}, "/studies", 403),
        ({"Content_Type": "text/plain"}, "/studies", 415),
        ({"Content_Type": 'multipart/related; type="application/dicom+json"; boundary=b'}, "/studies", 415),
        ({"Content_Encoding": "gzip"}, "/studies", 415),
        ({"Content_Type": 'multipart/related; type="application/dicom"'}, "/studies", 400),
        ({"Content_Type": 'multipart/related; type="application/dicom"; boundary=other'}, "/studies", 400),
        ({"Content_Type": "multipart/related; type=\"application/dicom\"; boundary*=utf-8''b"}, "/studies", 400),
        ({"Accept": "text/html"}, "/studies", 406),
        ({}, "/studies/DONT^LOGME", 400),
        ({}, "/series", 404),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_as_a_whole(
    start: Start, intake: Kept, headers: dict[str, str], path: str, status: int
) -> None:
    answer = post(start().port, body(instance(bulk_bytes=300_000)), f"/dicomweb{path}", **headers)
    assert answer.status == status and intake.content == {}
    assert (answer.getheader("WWW-Authenticate") == "Bearer") is (status == 401)


def test_while_nobody_can_be_told_from_others_a_sender_is_asked_to_come_again(
    start: Start, intake: Kept, turned_away: list[TurnedAway]
) -> None:
    refused: list[Refused] = []

    class Noting:
        def association(self, *, full: bool) -> None:
            raise AssertionError(full)

        def refused(self, refusal: Refused) -> None:
            refused.append(refusal)

    def locked(_token: str) -> str:
        raise OutOfResources("database: SQLITE_BUSY, database is locked")

    answer = post(start(whose=locked, tally=Noting()).port, body(instance()))
    assert (answer.status, answer.getheader("Retry-After")) == (503, "120")
    assert b"SQLITE" not in answer.text, "it is not known who reads that"
    assert [type(one) for one in refused] == [OutOfResources] and intake.content == {} and turned_away == []


def test_who_is_turned_away_is_told_of_once_in_a_while(start: Start, turned_away: list[TurnedAway]) -> None:
    port = start().port
    for _ in range(3):
        post(port, b"", token="wrong")
        post(port, b"", token="afar-secret")
    assert [one.calling_aet for one in turned_away] == ["", "afar"]
    assert "10.0.0.9" in turned_away[1].reason and all("secret" not in one.reason for one in turned_away)


def test_a_body_that_stops_coming_is_not_waited_for(start: Start, intake: Kept, tmp_path: Path) -> None:
    content = body(instance(1), instance(2))
    answer = talk(start().port, head(len(content) + 1000), content[:-40])
    assert b" 408 " in answer and intake.news[-1] == "closed"
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_body_that_is_longer_than_announced_is_cut_at_its_length(start: Start, intake: Kept) -> None:
    content = body(instance())
    assert b" 400 " in talk(start().port, head(len(content) - 40), content)


@pytest.mark.parametrize(
    "pieces",
    [
        (b"",),
        (b"POST /dicomweb/studies HT",),
        (b"POST / HTTP/1.1\r\n" + b"A: b\r\n" * 100,),
        (b"\x16\x03\x01\x02\x00",),
    ],
    ids=["silence", "half a line", "half a head", "TLS"],
)
def test_a_request_that_does_not_begin_is_hung_up_on(start: Start, pieces: tuple[bytes, ...]) -> None:
    assert talk(start().port, *pieces) in (b"",) or b" 400 " in talk(start().port, *pieces)


def test_a_second_request_that_is_dribbled_is_hung_up_on_too(start: Start) -> None:
    content = body(instance())
    answer = talk(start().port, head(len(content)) + content, b"POST /dic")
    assert answer.count(b"HTTP/1.1 200") == 1


def test_an_endless_head_and_an_endless_part_are_cut_short(start: Start, tmp_path: Path) -> None:
    port = start().port
    assert b"200" not in talk(port, b"POST /dicomweb/studies HTTP/1.1\r\n" + b"A: b\r\n" * 20_000)
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connection:
        connection.sendall(head("chunked") + b"8\r\n--b\r\n\r\n\r\n")
        with pytest.raises(OSError):  # reset or broken, as the system finds out
            for _ in range(100):
                connection.sendall(chunk)
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_client_that_vanishes_costs_nothing(start: Start, intake: Kept, tmp_path: Path) -> None:
    ended = threading.Event()
    closing_one = intake.closed

    def closed(association: Association) -> None:
        closing_one(association)
        ended.set()

    intake.closed = closed  # type: ignore[method-assign]
    content = body(instance(1), instance(2))
    with closing(socket.create_connection(("127.0.0.1", start().port), timeout=20)) as connection:
        connection.sendall(head(len(content)) + content[:-40])
    assert ended.wait(20) and intake.news[0] == "opened"
    assert list((tmp_path / "incoming").iterdir()) == []


def test_more_requests_than_there_is_room_for_are_asked_to_come_again(start: Start, intake: Kept) -> None:
    inside, go_on = threading.Semaphore(0), threading.Event()

    def hold(_arrival: Arrival) -> None:
        inside.release()
        assert go_on.wait(20)

    intake.before = hold
    port = start().port
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: statuses.append(post(port, body(instance(n))).status)) for n in (1, 2)
    ]
    for thread in threads:
        thread.start()
    assert inside.acquire(timeout=20) and inside.acquire(timeout=20)
    answer = post(port, body(instance(3)))
    go_on.set()
    for thread in threads:
        thread.join()
    assert (answer.status, answer.getheader("Retry-After")) == (503, "120") and statuses == [200, 200]


def idle(port: int, count: int, stack: ExitStack) -> list[socket.socket]:
    """Connections on which nothing is said."""
    return [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)) for _ in range(count)]


def is_hung_up_on(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_more_connections_than_there_is_room_for_are_hung_up_on_at_once(
    start: Start, tmp_path: Path, secure: bool
) -> None:
    authority = Authority(tmp_path / "ca")
    here = authority.issue("node")
    tls = Tls(certificate=here.certificate, key=here.key, ca=authority.certificate)
    credentials = Credentials(tls, server=True, required=False) if secure else None
    port = start(limits=replace(LIMITS, acse_timeout_seconds=600), credentials=credentials).port
    with ExitStack() as stack:
        # Two for each request that is allowed at a time.
        held = idle(port, 4, stack)
        assert all(is_hung_up_on(one) for one in idle(port, 20, stack))
        for one in held:
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(1)


def test_a_connection_is_counted_until_it_is_closed_and_not_only_while_it_asks(start: Start, intake: Kept) -> None:
    port = start(limits=replace(LIMITS, acse_timeout_seconds=600)).port
    with ExitStack() as stack:
        kept = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)))
        for number in (1, 2):
            kept.request("POST", "/dicomweb/studies", body(instance(number)), HEADERS)
            answer = kept.getresponse()
            assert answer.status == 200 and answer.read()
        idle(port, 3, stack)
        assert is_hung_up_on(idle(port, 1, stack)[0])
        kept.request("POST", "/dicomweb/studies", body(instance(3)), HEADERS)
        assert kept.getresponse().status == 200 and len(intake.content) == 3


def test_room_that_was_given_back_is_taken_again(start: Start) -> None:
    port = start().port
    for _ in range(3):
        with ExitStack() as stack:
            for one in idle(port, 4, stack):
                assert is_hung_up_on(one)
    assert post(port, body(instance())).status == 200


def test_a_caller_that_does_not_get_on_with_tls_is_hung_up_on(start: Start, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    here = authority.issue("node")
    tls = Tls(certificate=here.certificate, key=here.key, ca=authority.certificate)
    port = start(credentials=Credentials(tls, server=True, required=False)).port
    assert talk(port, b"\x16\x03\x01") == b""


def test_a_connection_does_not_wait_to_fill_its_segments() -> None:
    with (
        closing(listening("127.0.0.1", 0, None, Census(1, 1), None)) as port,
        closing(socket.create_connection(port.getsockname(), timeout=20)),
        closing(port.accept()[0]) as taken,
    ):
        assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_certificate_is_as_good_as_a_token_and_may_be_replaced(start: Start, intake: Kept, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    here = authority.issue("node")
    tls = Tls(certificate=here.certificate, key=here.key, ca=authority.certificate)
    port = start(credentials=Credentials(tls, server=True, required=False)).port

    def status(name: str, trusted: Path) -> int:
        own = authority.issue(name)
        context = ssl.create_default_context(cafile=str(trusted))
        context.load_cert_chain(own.certificate, own.key)
        with closing(http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)) as connection:
            connection.request("POST", "/dicomweb/studies", body(instance()), {"Content-Type": RELATED})
            return connection.getresponse().status

    assert status("badged", authority.certificate) == 200 and intake.associations[0].peer == "BADGED"
    assert status("somebody", authority.certificate) == 401
    another = Authority(tmp_path / "other", name="Another")
    renewed = another.issue("node")
    here.key.write_bytes(renewed.key.read_bytes())
    here.certificate.write_bytes(renewed.certificate.read_bytes())
    assert status("badged", another.certificate) == 200


def test_what_is_under_way_is_finished_when_the_node_stops(start: Start, intake: Kept) -> None:
    listener = start()
    intake.before = lambda _arrival: listener.leave(10)
    assert post(listener.port, body(instance(1), instance(2))).status == 200
    listener.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listener.port), timeout=5)


def test_who_makes_way_lets_a_request_go_on_however_long_it_takes(start: Start, intake: Kept) -> None:
    listener, content = start(limits=replace(LIMITS, network_timeout_seconds=30.0)), body(instance(1))
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "x", **HEADERS}.items())
    with closing(socket.create_connection(("127.0.0.1", listener.port), timeout=20)) as connection:
        connection.sendall(f"POST /dicomweb/studies HTTP/1.1\r\n{head}Content-Length: {len(content)}\r\n\r\n".encode())
        connection.sendall(content[:200])
        while not intake.associations:
            threading.Event().wait(0.01)
        listener.leave(None)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", listener.port), timeout=5)
        # A drain of no time at all would have ended it by now (uvicorn looks every 0.1 s).
        threading.Event().wait(1.5)
        assert listener.busy
        connection.sendall(content[200:])
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    listener.stop()
    assert len(intake.content) == 1


def test_what_is_under_way_is_cut_when_the_time_of_the_drain_is_over(start: Start, intake: Kept) -> None:
    listener = start(limits=replace(LIMITS, network_timeout_seconds=30.0))
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "x", **HEADERS}.items())
    with closing(socket.create_connection(("127.0.0.1", listener.port), timeout=20)) as connection:
        connection.sendall(f"POST /dicomweb/studies HTTP/1.1\r\n{head}Content-Length: 100000\r\n\r\n".encode())
        while not intake.associations:
            threading.Event().wait(0.01)
        listener.leave(None)
        listener.leave(0.2)
        listener.stop()
        assert not listener.busy


def test_a_port_that_is_taken_is_a_fault_of_the_configuration(start: Start, intake: Kept) -> None:
    taken = start()
    reception = Reception(
        intake=intake, incoming=Path(), limits=LIMITS, peers=(), called_aet="N", whose=str, census=Census(1, 1)
    )
    with pytest.raises(ConfigError, match=r"stow\.port"):
        StowListener(reception, host="127.0.0.1", port=taken.port)
