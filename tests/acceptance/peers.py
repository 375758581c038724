"""Peers of the node inside the test: a PACS that counts what it is given, and senders that see every answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from pynetdicom import AE, AllStoragePresentationContexts, build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from dicomnode.deliver.association import leave_answers
from tests.acceptance.waiting import PATIENCE_SECONDS, free_port

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
SR = "1.2.840.10008.5.1.4.1.1.88.34"
REFUSAL = "1.2.840.10008.5.1.4.1.1.88.22"
COMPREHENSIVE = "1.2.840.10008.5.1.4.1.1.88.33"
LABELMAP = "1.2.840.10008.5.1.4.1.1.66.7"
PICTURE = "1.2.840.10008.5.1.4.1.1.7"
VERIFICATION = "1.2.840.10008.1.1"

_STORAGE = [
    *AllStoragePresentationContexts,
    build_context(LABELMAP, [RLELossless, ExplicitVRLittleEndian, ImplicitVRLittleEndian]),
]

_SECONDS_BETWEEN_TRIES = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One C-STORE that the PACS answered with Success."""

    sop_instance_uid: str
    sop_class_uid: str
    data: bytes
    dataset: Dataset


class CountingPacs:
    """An archive that remembers every object as often as it comes."""

    def __init__(self, aet: str = "ORTHANC", refused: Collection[str] = ()) -> None:
        self.aet = aet
        #: SOP classes of which it accepts no presentation context.
        self.refused = set(refused)
        self.port = free_port()
        #: What it answers; only what it answered with Success is counted.
        self.status = 0x0000
        self.comment = ""
        self._offers: list[Offer] = []
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._server: Any = None

    def start(self) -> None:
        """Begin to listen."""
        ae = AE(ae_title=self.aet)
        ae.supported_contexts = [one for one in _STORAGE if one.abstract_syntax not in self.refused]
        ae.add_supported_context(VERIFICATION)
        handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, self._store), (evt.EVT_CONN_OPEN, self._opened)]
        self._server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)

    def stop(self) -> None:
        """Stop listening, if it does."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None
        for connection in self._connections:
            connection.close()

    @property
    def offers(self) -> list[Offer]:
        """Everything accepted so far, in order."""
        with self._lock:
            return list(self._offers)

    def of_class(self, *sop_classes: str) -> list[Dataset]:
        """The distinct objects of these SOP classes, in order of their first arrival."""
        found = {offer.sop_instance_uid: offer.dataset for offer in self.offers if offer.sop_class_uid in sop_classes}
        return list(found.values())

    def _opened(self, event: evt.Event) -> None:
        self._connections.append(_connection(event.assoc))

    def _store(self, event: evt.Event) -> int | Dataset:
        if self.status != 0x0000:
            answer = Dataset()
            answer.Status, answer.ErrorComment = self.status, self.comment
            return answer
        ds = event.dataset
        ds.file_meta = event.file_meta
        data = event.encoded_dataset(include_meta=False)
        with self._lock:
            self._offers.append(
                Offer(
                    sop_instance_uid=str(ds.SOPInstanceUID),
                    sop_class_uid=str(ds.SOPClassUID),
                    data=data,
                    dataset=ds,
                )
            )
        return 0x0000


def send(
    files: Sequence[Path], port: int, *, calling: str = "ORTHANC", called: str = "DICOMNODE"
) -> dict[Path, int | None]:
    """Offer files over one association; the status of each answer, None where there was none.

    Empty when the association was not accepted.
    """
    ae = AE(ae_title=calling)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE_SECONDS
    association = ae.associate("127.0.0.1", port, ae_title=called)
    leave_answers(association)
    if not association.is_established:
        return {}
    with closing(_connection(association)):
        return _offer(files, association)


def _offer(files: Sequence[Path], association: Association) -> dict[Path, int | None]:
    answers: dict[Path, int | None] = {}
    for path in files:
        try:
            answer = association.send_c_store(dcmread(path))
        except RuntimeError:  # pynetdicom: there is no association any more
            answer = Dataset()
        if "Status" not in answer:
            # Nothing more is asked of a broken association: pynetdicom may take it for alive and wait for an answer.
            return {**dict.fromkeys(files, None), **answers}
        answers[path] = int(answer.Status)
    association.release()
    return answers


def _connection(association: Association) -> socket.socket:
    """The socket of an open association, to be closed by us: pynetdicom forgets it when the peer closes first."""
    transport = association.dul.socket
    assert transport is not None
    assert transport.socket is not None
    return transport.socket


def send_until_acknowledged(files: Sequence[Path], port: int, seconds: float = PATIENCE_SECONDS) -> int:
    """Send the whole study until every object was acknowledged once, as an archive does; how many rounds it took."""
    missing = set(files)
    deadline = monotonic() + seconds
    rounds = 0
    while missing:
        assert monotonic() < deadline, f"{len(missing)} objects were not acknowledged within {seconds:g} s"
        answers = send(files, port) if listens(port) else {}
        missing -= {path for path, status in answers.items() if status == 0x0000}
        rounds += bool(answers)
        if missing:
            sleep(_SECONDS_BETWEEN_TRIES)
    return rounds


def listens(port: int) -> bool:
    """Whether a connection can be opened; pynetdicom forgets to close a socket for which it cannot."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def send_raw(data: bytes, port: int, sop_instance_uid: str = "1.2.3.4.5") -> int | None:
    """Offer bytes as the data set of a CT image; the status of the answer."""
    ae = AE(ae_title="ORTHANC")
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE_SECONDS
    association = ae.associate("127.0.0.1", port, ae_title="DICOMNODE")
    leave_answers(association)
    assert association.is_established
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = CTImageStorage
    request.AffectedSOPInstanceUID = sop_instance_uid
    request.Priority = 2
    request.DataSet = BytesIO(data)
    association._reactor_checkpoint.clear()
    context_id = association.accepted_contexts[0].context_id
    assert context_id is not None
    association.dimse.send_msg(request, context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    status = None if answer is None else answer.Status
    if association.is_established:
        association.release()
    return status


def data_set_of(path: Path) -> bytes:
    """What follows the file meta information of a Part 10 file."""
    content = path.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]
