"""A TLS connection says that data has arrived when there is data of the application, and only then."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dicomnode.domain.network import Tls
from dicomnode.tls.connection import SecureSocket
from dicomnode.tls.credentials import Credentials
from tests.certificates import Authority


@dataclass
class Between:
    """Our client, the server that it is connected to, and the bytes between them, which a test lets through."""

    ours: SecureSocket
    server: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    wire: socket.socket

    def deliver(self, count: int = -1) -> None:
        """Send what the server has written, or its first `count` bytes."""
        self.wire.sendall(self.outgoing.read(count))


@pytest.fixture
def between(tmp_path: Path) -> Iterator[Between]:
    """Connected over TLS 1.3 with a server whose two session tickets are still on their way."""
    authority = Authority(tmp_path)
    identity = authority.issue("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(identity.certificate, identity.key)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    ours, wire = socket.socketpair()
    ours.settimeout(20)
    wire.settimeout(20)
    credentials = Credentials(Tls(ca=authority.certificate), server=False)
    secured = credentials.context().wrap_socket(ours, server_hostname="localhost", do_handshake_on_connect=False)
    assert isinstance(secured, SecureSocket)
    client = threading.Thread(target=secured.do_handshake)
    client.start()
    while True:
        incoming.write(wire.recv(65536))
        try:
            server.do_handshake()
            break
        except ssl.SSLWantReadError:
            wire.sendall(outgoing.read())
    client.join(20)
    yield Between(ours=secured, server=server, incoming=incoming, outgoing=outgoing, wire=wire)
    secured.close()
    wire.close()


def test_session_tickets_are_no_data(between: Between) -> None:
    assert between.outgoing.pending > 0
    between.deliver()
    assert not between.ours.arrived()
    assert between.ours.gettimeout() == 20


def test_half_a_record_is_no_data_and_the_whole_is(between: Between) -> None:
    between.deliver()
    between.server.write(b"dicom")
    between.deliver(7)
    assert not between.ours.arrived()
    between.deliver()
    assert between.ours.arrived() and between.ours.arrived()
    buffer = bytearray(8)
    with memoryview(buffer) as view:
        assert between.ours.recv_into(view[:2], 2) == 2
        assert between.ours.recv_into(view[2:], 6) == 3
    assert bytes(buffer[:5]) == b"dicom"
    assert not between.ours.arrived()


def test_what_is_read_ahead_comes_in_order_before_the_rest(between: Between) -> None:
    between.server.write(b"one")
    between.server.write(b"two")
    between.deliver()
    assert between.ours.arrived()
    assert (between.ours.recv(2), between.ours.recv(10), between.ours.recv(10)) == (b"on", b"e", b"two")


def test_the_end_of_the_connection_counts_as_arrived(between: Between) -> None:
    between.wire.close()
    assert between.ours.arrived()
    assert between.ours.recv(1) == b""


def test_an_error_is_met_by_who_reads(between: Between) -> None:
    between.wire.sendall(b"\x17\x03\x03\x00\x10" + bytes(16))  # a record that nobody encrypted
    assert between.ours.arrived()
    with pytest.raises(ssl.SSLError):
        between.ours.recv(1)
