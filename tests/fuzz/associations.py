"""The target that talks to a listener: valid and invalid PDUs in valid and invalid order."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from random import Random
from struct import pack
from time import monotonic
from typing import Any

from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from dicomnode.domain.network import Association
from dicomnode.domain.study import Arrival
from dicomnode.receive.admission import Admission
from dicomnode.receive.limits import Limits
from dicomnode.receive.scp import Listener
from tests.fuzz import seeds, wire
from tests.fuzz.mutate import mutated

#: The node has to end a conversation that the peer has ended within this time.
_PATIENCE_SECONDS = 10.0

#: Threads that an idle listener may have beside those of the last conversations, which may be about to end.
_SPARE_THREADS = 12


class Kept:
    """An intake that counts."""

    def __init__(self) -> None:
        self.open = 0
        self.accepted = 0
        self._lock = threading.Lock()

    def opened(self, _association: Association) -> None:
        with self._lock:
            self.open += 1

    def accept(self, arrival: Arrival) -> None:
        assert Path(arrival.path).is_file()
        with self._lock:
            self.accepted += 1

    def closed(self, _association: Association) -> None:
        with self._lock:
            self.open -= 1


class Associations:
    """Conversations with a listener in this process, whose threads must not die of them."""

    def __init__(self, folder: Path) -> None:
        self._incoming = folder / "incoming"
        self._incoming.mkdir(exist_ok=True)
        self._kept = Kept()
        self._died: list[str] = []
        self._hook, threading.excepthook = threading.excepthook, self._note
        self._listener = Listener(
            aets=["NODE"], host="127.0.0.1", port=0, intake=self._kept, incoming=self._incoming,
            admission=Admission(peers=(), called_aets=frozenset({"NODE"}), accept_unknown=True),
            limits=Limits(
                maximum_associations=100, maximum_associations_per_peer=100, acse_timeout_seconds=2,
                network_timeout_seconds=4, maximum_object_bytes=1 << 20,
            ),
        )  # fmt: skip
        self._listener.start()
        self._threads = threading.active_count()
        self._data_set = _data_set()

    def _note(self, args: threading.ExceptHookArgs) -> None:
        self._died.append(f"{args.thread.name if args.thread else ''}: {args.exc_value!r}")

    def input(self, number: int, seed: int) -> bytes:
        """What the peer writes in that conversation."""
        random = Random(f"{seed} {number}")
        steps = [wire.associate_rq()] if random.random() < 0.9 else []
        steps += [self._step(random) for _ in range(random.choice((0, 1, 2, 3, 6)))]
        if random.random() < 0.4:
            at = random.randrange(len(steps) or 1)
            if steps:
                steps[at] = mutated(steps[at], random)
        whole = b"".join(steps)
        return whole[: random.randrange(len(whole) + 1)] if random.random() < 0.1 else whole

    def _step(self, random: Random) -> bytes:
        choices: tuple[Callable[[], bytes], ...] = (
            self._store,
            lambda: self._store(random),
            lambda: wire.pdata((wire.ECHO_CONTEXT, 3, wire.command(wire.C_ECHO, wire.VERIFICATION))),
            lambda: wire.pdata((random.randrange(256), random.randrange(8), random.randbytes(random.randrange(40)))),
            lambda: wire.pdata((1, 3, mutated(wire.command(wire.C_STORE, wire.CT, data=True), random))),
            lambda: wire.pdata(
                (
                    random.choice((1, 3, 5)),
                    3,
                    wire.command(
                        random.choice((wire.C_FIND, wire.C_CANCEL, wire.N_EVENT_REPORT, wire.N_ACTION, 0x8001, 0x7777)),
                        random.choice((wire.CT, wire.VERIFICATION, b"1.2.840.10008.1.20.1", b"")),
                        data=random.random() < 0.3,
                    ),
                )
            ),
            lambda: wire.RELEASE_RQ,
            lambda: wire.RELEASE_RP,
            lambda: wire.ABORT,
            wire.associate_rq,
            lambda: wire.associate_rq(b"", b"\xff" * 16, wire.item(random.randrange(256), random.randbytes(9))),
            lambda: wire.pdu(random.randrange(256), random.randbytes(random.randrange(100))),
            lambda: pack(">BxL", random.randrange(9), random.choice((0, 4, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))),
            lambda: random.randbytes(random.randrange(1, 200)),
        )
        return random.choice(choices)()

    def _store(self, random: Random | None = None) -> bytes:
        content = self._data_set if random is None else mutated(self._data_set, random)
        return wire.pdata((1, 3, wire.command(wire.C_STORE, wire.CT, data=True)), (1, 0, content[:100])) + wire.pdata(
            (1, 2, content[100:])
        )

    def run(self, number: int, seed: int) -> None:
        """Hold one conversation; the node has to end it, and to be well now and then."""
        begun = monotonic()
        address = ("127.0.0.1", self._listener.port)
        with socket.create_connection(address, _PATIENCE_SECONDS) as peer, suppress(ConnectionError):
            peer.sendall(self.input(number, seed))
            try:
                peer.shutdown(socket.SHUT_WR)
            except OSError as error:
                if error.errno != errno.ENOTCONN:  # the node has hung up already
                    raise
            while peer.recv(65536):
                pass
        assert monotonic() - begun < _PATIENCE_SECONDS
        assert not self._died, self._died
        if number % 100 == 99:
            self._require_well()

    def _require_well(self) -> None:
        """A good peer is served, and nothing is left of the others."""
        before = self._kept.accepted
        with socket.create_connection(("127.0.0.1", self._listener.port), _PATIENCE_SECONDS) as peer:
            peer.sendall(wire.associate_rq())
            assert _pdu(peer) == 2, "an association is accepted"
            peer.sendall(self._store())
            assert _pdu(peer) == 4, "an object is answered"
            peer.sendall(wire.RELEASE_RQ)
            assert _pdu(peer) == 6, "a release is answered"
        assert self._kept.accepted == before + 1
        self._wait(lambda: threading.active_count() <= self._threads + _SPARE_THREADS, "threads are left")
        self._wait(lambda: self._kept.open == 0, "associations are left")
        self._wait(lambda: not list(self._incoming.iterdir()), "files are left")

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        until, pause = monotonic() + _PATIENCE_SECONDS, threading.Event()
        while not holds():
            assert monotonic() < until, what
            pause.wait(0.01)

    def close(self) -> None:
        """Stop listening; nothing may be left."""
        try:
            self._require_well()
        finally:
            self._listener.stop(0)
            threading.excepthook = self._hook


def _pdu(peer: socket.socket) -> int:
    head = peer.recv(6, socket.MSG_WAITALL)
    if len(head) < 6:
        return 0
    peer.recv(int.from_bytes(head[2:], "big"), socket.MSG_WAITALL)
    return head[0]


def _data_set() -> bytes:
    """A CT image in the first transfer syntax that the node takes of those offered."""
    ds: Any = dcmread(BytesIO(seeds.made()["Explicit VR Little Endian"]))
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, ds)
    return buffer.getvalue()
