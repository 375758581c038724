"""Results on their way to an archive on the web."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from dicomnode.deliver.association import Timeouts
from dicomnode.deliver.dimse import Outgoing
from dicomnode.deliver.echo import echo
from dicomnode.deliver.sending import send
from dicomnode.deliver.stow_memory import Memory
from dicomnode.domain.errors import DeliveryError, NoAssociation, PeerUnreachable
from dicomnode.domain.network import Peer, Stow, Tls
from dicomnode.domain.work import Receipt
from tests.certificates import Authority
from tests.unit.receive.posted import instance

CT = "1.2.840.10008.5.1.4.1.1.2"
TIMEOUTS = Timeouts(connect_seconds=5, dimse_seconds=1)
HASTY = Timeouts(connect_seconds=5, dimse_seconds=0.4)


@dataclass
class Archive:
    """A stand-in on the web that answers what it is told to.

    Attributes
    ----------
    answers
        Status and header of each answer to a POST; 200 when none is left.
    listed
        What a query finds; None for 501.
    """

    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    listed: list[str] | None = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    silent: bool = False
    port: int = 0


def _handler(archive: Archive, over: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            archive.requests.append(("POST", self.path, dict(self.headers)))
            archive.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            if archive.silent:
                over.wait(20)
                return
            self._answer(*(archive.answers.pop(0) if archive.answers else (200, {}, b"{}")))

        def do_GET(self) -> None:
            archive.requests.append(("GET", self.path, dict(self.headers)))
            if archive.listed is None:
                self._answer(501, {}, b"")
                return
            found = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in archive.listed]
            self._answer(200 if found else 204, {}, json.dumps(found).encode() if found else b"")

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/dicom+json", **headers}.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if status != 204:
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler


Open = Callable[..., Archive]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens archives, over TLS where a context is given."""
    servers: list[ThreadingHTTPServer] = []
    over = threading.Event()

    def begin(context: ssl.SSLContext | None = None, **told: Any) -> Archive:
        archive = Archive(**told)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(archive, over))
        server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        archive.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return archive

    yield begin
    over.set()
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def outgoing(tmp_path: Path) -> list[Outgoing]:
    """Two objects."""
    found = []
    for number in (1, 2):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(instance(number, bulk_bytes=600_000))
        found.append(
            Outgoing(sop_class_uid=CT, sop_instance_uid=f"1.2.3.4.{number}", transfer_syntax_uid="1.2.840.10008.1.2.1",
                     path=path)
        )  # fmt: skip
    return found


def peer(archive: Archive, scheme: str = "http", **stow: Any) -> Peer:
    more = {"certificate_subject": stow.pop("certificate_subject", "")}
    url = f"{scheme}://127.0.0.1:{archive.port}/dicom-web"
    return Peer(name="PACS", aet="PACS", host="127.0.0.1", port=0, stow=Stow(url=url, **stow), **more)


def sent(to: Peer, files: list[Outgoing], memory: Memory | None = None, timeouts: Timeouts = TIMEOUTS) -> list[Receipt]:
    return list(send(to, files, calling_aet="NODE", timeouts=timeouts, memory=memory))


def failed(reason: int, uid: str = "1.2.3.4.1") -> bytes:
    """A response with one failure."""
    item = {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [reason]}}
    return json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()


def test_objects_are_posted_one_by_one_with_their_bytes(
    opened: Open, outgoing: list[Outgoing], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    archive = opened()
    secret = tmp_path / "secret"
    secret.write_text("Bearer t0k3n\n")
    secret.chmod(0o600)
    receipts = sent(peer(archive, authorization=secret), outgoing)
    assert [(one.sop_instance_uid, one.stored) for one in receipts] == [("1.2.3.4.1", True), ("1.2.3.4.2", True)]
    for file, body, (_, path, headers) in zip(outgoing, archive.bodies, archive.requests, strict=True):
        mail = message_from_bytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body)
        parts: Any = mail.get_payload()
        assert [part.get_payload(decode=True) for part in parts] == [file.path.read_bytes()]
        assert (path, headers["Authorization"]) == ("/dicom-web/studies", "Bearer t0k3n")
        assert 'type="application/dicom"' in headers["Content-Type"]


@pytest.mark.parametrize("status", [302, 400, 415])
def test_what_no_repetition_mends_is_final_and_says_why(opened: Open, outgoing: list[Outgoing], status: int) -> None:
    receipt = sent(peer(opened(answers=[(status, {"Location": "http://127.0.0.1:9/"}, b"")])), outgoing[:1])[0]
    assert (receipt.stored, receipt.final) == (False, True) and receipt.text.startswith(f"HTTP {status}")


@pytest.mark.parametrize(
    ("status", "content", "listed", "stored", "final"),
    [
        (409, failed(0x0111), ["1.2.3.4.1"], True, True),
        (409, failed(0x0111), [], False, True),
        (409, failed(0x0111), None, True, True),
        (409, b"", ["1.2.3.4.1"], True, True),
        (409, b"", None, False, True),
        (202, b"", ["1.2.3.4.1"], True, True),
        (202, b"", [], False, False),
        (202, b"", None, False, False),
    ],
)
def test_what_may_be_there_already_is_looked_for(
    opened: Open, outgoing: list[Outgoing], status: int, content: bytes, listed: list[str] | None, stored: bool,
    final: bool,
) -> None:  # fmt: skip
    archive = opened(answers=[(status, {}, content)], listed=listed)
    receipt = sent(peer(archive), outgoing[:1])[0]
    assert receipt.stored is stored and (stored or receipt.final is final)
    assert archive.requests[1][1].startswith("/dicom-web/studies/1.2.3.4/series/1.2.3.4.0/instances?SOPInstanceUID=")


def test_a_peer_that_asks_for_it_is_left_alone(opened: Open, outgoing: list[Outgoing]) -> None:
    hands = [0.0]
    memory = Memory(now=lambda: hands[0])
    archive = opened(answers=[(503, {"Retry-After": "90"}, b"")])
    receipt = sent(peer(archive), outgoing[:1], memory)[0]
    assert (receipt.stored, receipt.final) == (False, False)
    hands[0] = 89.0
    with pytest.raises(NoAssociation, match="another 1 s"):
        sent(peer(archive), outgoing, memory)
    assert len(archive.bodies) == 1
    hands[0] = 91.0
    assert all(one.stored for one in sent(peer(archive), outgoing, memory))


def test_a_class_that_is_refused_is_not_offered_again_for_a_day(opened: Open, outgoing: list[Outgoing]) -> None:
    hands = [0.0]
    memory = Memory(now=lambda: hands[0])
    seg = "1.2.840.10008.5.1.4.1.1.66.4"
    to = peer(opened(answers=[(409, {}, failed(0x0122))]))
    assert sent(to, outgoing[:1], memory)[0].final
    memory.refused("PACS", seg)
    accepted = {sop_class for (sop_class, _), result in memory.presumed(to).items() if result == 0}
    assert seg not in accepted and "1.2.840.10008.5.1.4.1.1.88.34" in accepted
    hands[0] = 100_000.0
    assert memory.presumed(to)[seg, "1.2.840.10008.1.2.1"] == 0


def test_a_peer_that_is_not_there_has_nothing(opened: Open, outgoing: list[Outgoing]) -> None:
    gone = Peer(name="PACS", aet="PACS", host="h", port=0, stow=Stow(url="http://127.0.0.1:1/dicom-web"))
    with pytest.raises(NoAssociation, match="no TCP connection: Connection refused"):
        sent(gone, outgoing)
    with pytest.raises(NoAssociation, match="refused"):
        echo(gone, calling_aet="NODE", timeouts=TIMEOUTS)


def test_a_peer_that_does_not_answer_may_have_it(opened: Open, outgoing: list[Outgoing]) -> None:
    with pytest.raises(PeerUnreachable, match="no answer within 1 s") as raised:
        sent(peer(opened(silent=True)), outgoing)
    assert not isinstance(raised.value, NoAssociation)


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["status", "head", "body", "open end", "chunks"],
)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_an_answer_that_is_dribbled_is_not_waited_for(
    outgoing: list[Outgoing], tmp_path: Path, begin: bytes, secure: bool
) -> None:
    authority = Authority(tmp_path / "ca")
    here = authority.issue("pacs")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(here.certificate, here.key)
    over = threading.Event()

    def dribble(port: socket.socket) -> None:
        connection, _address = port.accept()
        with contextlib.suppress(OSError), connection:
            talking = context.wrap_socket(connection, server_side=True) if secure else connection
            with talking:
                while len(talking.recv(1 << 20)) and not over.is_set():
                    # All of the body has come when it is time to answer.
                    if select.select([talking], [], [], 0.2)[0]:
                        continue
                    break
                talking.sendall(begin)
                while not over.wait(0.05):
                    talking.sendall(b"1")

    with socket.create_server(("127.0.0.1", 0)) as port:
        thread = threading.Thread(target=dribble, args=(port,), daemon=True)
        thread.start()
        archive = Archive(port=port.getsockname()[1])
        tls = {"tls": Tls(certificate=here.certificate, key=here.key, ca=authority.certificate)} if secure else {}
        with pytest.raises(PeerUnreachable, match=r"no answer within 0\.4 s") as raised:
            sent(peer(archive, "https" if secure else "http", **tls), outgoing[:1], timeouts=HASTY)
        over.set()
        thread.join(20)
    assert not isinstance(raised.value, NoAssociation), "the object may be there"


def test_a_connection_that_ends_in_the_middle_of_tls_leaves_it_in_doubt(
    outgoing: list[Outgoing], tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "ca")
    here = authority.issue("pacs")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(here.certificate, here.key)

    def take(port: socket.socket) -> None:
        connection, _address = port.accept()
        with context.wrap_socket(connection, server_side=True) as talking:
            talking.recv(65536)
            # What is no record of TLS: the other side gives up with an SSLError.
            with socket.socket(fileno=talking.detach()) as bare, contextlib.suppress(ConnectionResetError):
                bare.sendall(b"x" * 100)
                while bare.recv(1 << 20):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as port:
        thread = threading.Thread(target=take, args=(port,), daemon=True)
        thread.start()
        tls = Tls(certificate=here.certificate, key=here.key, ca=authority.certificate)
        to = peer(Archive(port=port.getsockname()[1]), "https", tls=tls)
        with pytest.raises(PeerUnreachable) as raised:
            sent(to, outgoing[:1], timeouts=Timeouts(connect_seconds=5, dimse_seconds=5))
        thread.join(20)
    assert not isinstance(raised.value, NoAssociation), "the object may be there"
    assert isinstance(raised.value.__cause__, requests.exceptions.SSLError)


def test_a_file_that_is_not_the_object_is_not_sent(opened: Open, outgoing: list[Outgoing]) -> None:
    archive = opened()
    outgoing[0].path.write_bytes(instance(2))
    with pytest.raises(DeliveryError, match="expected"):
        sent(peer(archive), outgoing)
    assert archive.bodies == []


def test_a_secret_that_others_may_read_is_not_sent(opened: Open, outgoing: list[Outgoing], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("Bearer t0k3n\nsecond")
    secret.chmod(0o644)
    archive = opened()
    with pytest.raises(NoAssociation, match="chmod"):
        sent(peer(archive, authorization=secret), outgoing)
    secret.chmod(0o600)
    with pytest.raises(NoAssociation, match="one line"):
        sent(peer(archive, authorization=secret), outgoing)
    assert archive.requests == []


def test_a_query_says_that_a_peer_is_there_and_knows_this_node(opened: Open) -> None:
    archive = opened()
    assert echo(peer(archive), calling_aet="NODE", timeouts=TIMEOUTS) < 5
    archive.listed = None
    assert echo(peer(archive), calling_aet="NODE", timeouts=TIMEOUTS) < 5
    assert archive.requests[0][1] == "/dicom-web/studies?limit=1"


def test_both_sides_show_who_they_are(opened: Open, outgoing: list[Outgoing], tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path / "ca"), Authority(tmp_path / "stranger", name="Stranger")
    here, there = authority.issue("node"), authority.issue("pacs")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(there.certificate, there.key)
    context.load_verify_locations(authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    archive = opened(context)
    tls = Tls(certificate=here.certificate, key=here.key, ca=authority.certificate)
    assert all(one.stored for one in sent(peer(archive, "https", tls=tls), outgoing))
    named = peer(archive, "https", tls=tls, certificate_subject="CN=pacs")
    assert all(one.stored for one in sent(named, outgoing))
    for other in (
        peer(archive, "https", tls=Tls(certificate=here.certificate, key=here.key, ca=stranger.certificate)),
        peer(archive, "https", tls=tls, certificate_subject="CN=another"),
    ):
        with pytest.raises(NoAssociation, match="no TLS connection"):
            sent(other, outgoing)
    assert len(archive.bodies) == 4
