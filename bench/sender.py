"""Sends prepared bytes over many associations from one thread, so that the sender is not what is measured."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from time import perf_counter

from tests.fuzz import wire
from tests.torture.load import Template

#: Status of a C-STORE-RSP: (0000,0900), two bytes (PS3.7 9.3.1.2).
_STATUS = b"\x00\x00\x00\x09\x02\x00\x00\x00"
_ASSOCIATE_AC, _P_DATA, _RELEASE_RP = 2, 4, 6

#: Content of a P-DATA-TF; the node takes 128 KiB.
_FRAGMENT_BYTES = 65536

#: A peer that waits for longer has been forgotten.
_PATIENCE_SECONDS = 60.0


def prepared(template: Template, number: int, images: int) -> list[bytes]:
    """The C-STORE requests of one study, each as the bytes that go over the line."""
    return [_request(*template.instance(number, position)) for position in range(images)]


def _request(uid: bytes, content: bytes) -> bytes:
    pieces = [wire.pdata((1, 3, wire.command(wire.C_STORE, wire.CT, data=True, instance=uid)))]
    for at in range(0, len(content), _FRAGMENT_BYTES):
        last = at + _FRAGMENT_BYTES >= len(content)
        pieces.append(wire.pdata((1, 2 if last else 0, content[at : at + _FRAGMENT_BYTES])))
    return b"".join(pieces)


@dataclass(slots=True)
class _Association:
    """One connection; what it still has to send, and how long its answers took."""

    connection: socket.socket
    requests: Iterator[bytes]
    release: bool
    sending: memoryview = field(default_factory=lambda: memoryview(wire.associate_rq(b"ORTHANC", b"DICOMNODE")))
    received: bytearray = field(default_factory=bytearray)
    begun: float = 0.0
    over: bool = False
    seconds: list[float] = field(default_factory=list)

    def write(self) -> None:
        self.sending = self.sending[self.connection.send(self.sending) :]

    def read(self) -> None:
        came = self.connection.recv(_FRAGMENT_BYTES)
        if not came:
            raise ConnectionError("the node hung up")
        self.received += came
        while len(self.received) >= 6:
            end = 6 + int.from_bytes(self.received[2:6], "big")
            if len(self.received) < end:
                return
            self._answer(self.received[0], bytes(self.received[6:end]))
            del self.received[:end]

    def _answer(self, kind: int, body: bytes) -> None:
        if kind == _P_DATA:
            at = body.find(_STATUS)
            if body[at + 8 : at + 10] != b"\0\0":
                raise ConnectionError(f"the node answered status {body[at + 8 : at + 10].hex()}, needed 0000")
            self.seconds.append(perf_counter() - self.begun)
        elif kind not in (_ASSOCIATE_AC, _RELEASE_RP):
            raise ConnectionError(f"the node answered with a PDU of type {kind}")
        if kind == _RELEASE_RP:
            self.over = True
            return
        self.begun = perf_counter()
        request = next(self.requests, None)
        self.over = request is None and not self.release
        self.sending = memoryview(request or (wire.RELEASE_RQ if self.release else b""))


def send(port: int, studies: Sequence[Sequence[bytes]], at_a_time: int = 64) -> list[float]:
    """Send each study over an association of its own, so many at a time; seconds from each request to its answer.

    Raises
    ------
    ConnectionError
        The node refused something or hung up.
    TimeoutError
        No answer came for a minute.
    """
    return [one for association in _sent(port, studies, at_a_time, release=True) for one in association.seconds]


def keep_open(port: int, study: Sequence[bytes]) -> socket.socket:
    """Send one study over an association that stays open until the socket is closed."""
    return _sent(port, [study], 1, release=False)[0].connection


def _sent(port: int, studies: Sequence[Sequence[bytes]], at_a_time: int, *, release: bool) -> list[_Association]:
    associations: list[_Association] = []
    with closing(selectors.DefaultSelector()) as waiting:
        while waiting.get_map() or len(associations) < len(studies):
            while len(waiting.get_map()) < at_a_time and len(associations) < len(studies):
                one = _opened(port, studies[len(associations)], release)
                waiting.register(one.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, one)
                associations.append(one)
            ready = waiting.select(_PATIENCE_SECONDS)
            if not ready:
                raise TimeoutError(f"no answer for {_PATIENCE_SECONDS:g} s")
            for key, events in ready:
                _step(waiting, key.data, events)
    return associations


def _opened(port: int, study: Sequence[bytes], release: bool) -> _Association:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _Association(connection, iter(study), release)


def _step(waiting: selectors.BaseSelector, one: _Association, events: int) -> None:
    before = bool(one.sending)
    if events & selectors.EVENT_READ:
        one.read()
    if one.sending and not one.over:
        with suppress(BlockingIOError):
            one.write()
    if one.over:
        waiting.unregister(one.connection)
        if one.release:
            one.connection.close()
    elif bool(one.sending) != before or events & selectors.EVENT_WRITE:
        write = selectors.EVENT_WRITE if one.sending else 0
        waiting.modify(one.connection, selectors.EVENT_READ | write, one)
