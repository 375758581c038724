"""Sends result objects to a peer by STOW-RS and reports the answer to each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import requests

from dicomnode.deliver.association import Timeouts
from dicomnode.deliver.dimse import Outgoing, check
from dicomnode.deliver.outcome import Verdict
from dicomnode.deliver.stow_answer import Answered, Judged, judged, wait_seconds
from dicomnode.deliver.stow_memory import Memory
from dicomnode.deliver.stow_query import holds, read
from dicomnode.deliver.stow_session import no_connection, session
from dicomnode.domain.errors import ConfigError, DeliveryError, NoAssociation, PeerUnreachable
from dicomnode.domain.network import Peer, Stow
from dicomnode.domain.work import Receipt

_BLOCK_BYTES = 1 << 18

#: SOP class or transfer syntax not supported (PS3.18 Table I.2-2): so is every other object of it.
NOT_SUPPORTED = frozenset({0x0122, 0xC122})

_THERE = {
    True: "it is there, verified by QIDO-RS",
    None: "whether it is there cannot be asked by QIDO-RS",
    False: "and QIDO-RS does not find it there",
}


def send(peer: Peer, files: Sequence[Outgoing], *, timeouts: Timeouts, memory: Memory) -> Iterator[Receipt]:
    """Send `files` in their order, each by a request of its own over one connection, with their bytes as they are.

    One request for all would have an archive keep a report whose mask it refuses.

    Yields
    ------
    Receipt
        One per file, as soon as the peer has answered.

    Raises
    ------
    PeerUnreachable
        There is no connection (`NoAssociation`), or no answer; the peer may have the file whose turn it was.
    DeliveryError
        A file is missing or is not the object it should be.
    """
    stow = peer.stow
    assert stow is not None
    memory.require(peer)
    try:
        opened = session(peer, stow)
    except ConfigError as error:
        raise NoAssociation(f"{peer.title}: no connection: {error}") from error
    with opened as web:
        for file in files:
            check(file)
            answer = _posted(web, peer, stow, file, timeouts)
            found = judged(answer, file.sop_instance_uid)
            if found.verdict is Verdict.DUPLICATE:
                found = _verified(web, stow, file, found, timeouts)
            if found.reason in NOT_SUPPORTED:
                memory.refused(peer.name, file.sop_class_uid)
            if found.verdict is Verdict.BUSY:
                memory.wait(peer.name, wait_seconds(answer.retry_after, datetime.now(UTC)))
            yield Receipt(
                sop_instance_uid=file.sop_instance_uid,
                status=found.reason,
                stored=found.verdict is Verdict.STORED,
                final=found.verdict is Verdict.REFUSED,
                text=found.text,
            )


class _Body:
    """A multipart body of one part, read from the disk while it is sent.

    Attributes
    ----------
    begun
        Whether any of it was asked for: there is a connection then, and the head of the request has gone.
    """

    def __init__(self, path: Path) -> None:
        self.boundary = uuid4().hex
        self._head = f"--{self.boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        self._tail = f"\r\n--{self.boundary}--\r\n".encode()
        self._path = path
        self.begun = False
        self._length = len(self._head) + path.stat().st_size + len(self._tail)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        self.begun = True
        yield self._head
        with self._path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
        yield self._tail


def _posted(web: requests.Session, peer: Peer, stow: Stow, file: Outgoing, timeouts: Timeouts) -> Answered:
    try:
        body = _Body(file.path)
        kind = f'multipart/related; type="application/dicom"; boundary={body.boundary}'
        with web.post(
            f"{stow.url}/studies",
            data=body,
            headers={"Content-Type": kind, "Accept": "application/dicom+json, application/dicom+xml;q=0.5"},
            timeout=(timeouts.connect_seconds, timeouts.dimse_seconds),
            allow_redirects=False,
            stream=True,
        ) as response:
            return read(response, timeouts)
    except requests.RequestException as error:
        unreachable = PeerUnreachable if body.begun else NoAssociation
        raise unreachable(f"{peer.title}: {no_connection(error, timeouts)}") from error
    except OSError as error:
        raise DeliveryError(f"{file.path.name}: cannot be sent, {error.strerror or 'OSError'}") from error


def _verified(web: requests.Session, stow: Stow, file: Outgoing, found: Judged, timeouts: Timeouts) -> Judged:
    """The verdict on an object that may be there already.

    UIDs of results are derived from what was analysed, so what is there is this object, whose answer got lost.
    """
    there = holds(web, stow, file.path, timeouts)
    text = f"{found.text}; {_THERE[there]}"
    verdict = Verdict.STORED if there else found.unasked
    if there is False and verdict is Verdict.STORED:
        verdict = Verdict.REFUSED
    return Judged(verdict=verdict, text=text, reason=found.reason)
