"""A running listener, an intake that keeps what it gets, and files to send."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association as Requestor
from pynetdicom.pdu_primitives import A_ASSOCIATE

from dicomnode.deliver.association import leave_answers
from dicomnode.deliver.dimse import Outgoing, Timeouts, echo
from dicomnode.domain.errors import PeerUnreachable
from dicomnode.domain.network import Association, Peer, Tls
from dicomnode.domain.study import Arrival
from dicomnode.receive.admission import Admission
from dicomnode.receive.limits import Limits
from dicomnode.receive.scp import Listener

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass
class Recorder:
    """An intake that remembers the bytes of every data set it accepted."""

    accepted: dict[str, Arrival] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    news: list[str] = field(default_factory=list)
    closed_event: threading.Event = field(default_factory=threading.Event)
    opened_event: threading.Event = field(default_factory=threading.Event)
    refuse_with: Exception | None = None
    on_accept: Callable[[Arrival], None] | None = None

    def opened(self, association: Association) -> None:
        self.news.append(f"opened {association.calling_aet}")
        self.opened_event.set()

    def accept(self, arrival: Arrival) -> None:
        self.news.append(f"accept {arrival.sop_instance_uid}")
        if self.on_accept is not None:
            self.on_accept(arrival)
        if self.refuse_with is not None:
            raise self.refuse_with
        self.accepted[arrival.sop_instance_uid] = arrival
        self.content[arrival.sop_instance_uid] = data_set_of(arrival.path)

    def closed(self, association: Association) -> None:
        self.news.append(f"closed {association.calling_aet}")
        self.closed_event.set()


def data_set_of(path: Path | str) -> bytes:
    """What follows the file meta information."""
    content = Path(path).read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    folder = tmp_path / "incoming"
    folder.mkdir()
    return folder


@pytest.fixture
def listen(recorder: Recorder, incoming: Path) -> Iterator[Callable[..., Listener]]:
    """Starts a listener called NODE (or NODE_NOW, on demand) on a free port and stops it at the end."""
    listeners: list[Listener] = []

    def start(*, peers: tuple[Peer, ...] = (), accept_unknown: bool = True, port: int = 0, **limits: Any) -> Listener:
        called = frozenset({"NODE", "NODE_NOW"})
        listener = Listener(
            aets=["NODE"],
            on_demand_aets=["NODE_NOW"],
            host="127.0.0.1",
            port=port,
            admission=Admission(peers=peers, called_aets=called, accept_unknown=accept_unknown),
            intake=recorder,
            incoming=incoming,
            limits=Limits(**limits),
        )
        listener.start()
        listeners.append(listener)
        return listener

    yield start
    for listener in listeners:
        listener.stop(0)


@pytest.fixture
def associate() -> Iterator[Callable[..., Requestor]]:
    """Opens an association as a pynetdicom SCU."""
    associations: list[Requestor] = []

    def open_one(
        listener: Listener,
        *,
        calling: str = "CT1",
        called: str = "NODE",
        sop_class: str = CTImageStorage,
        syntax: str = ExplicitVRLittleEndian,
    ) -> Requestor:
        ae = AE(ae_title=calling)
        ae.add_requested_context(sop_class, syntax)
        ae.add_requested_context("1.2.840.10008.1.1")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
        association = ae.associate("127.0.0.1", listener.port, ae_title=called)
        leave_answers(association)
        associations.append(association)
        unread: Any = association.dul.peek_next_pdu()
        if isinstance(unread, A_ASSOCIATE) and unread.result:
            # It came and ended the connection before pynetdicom had looked whether there was one.
            association.acceptor.primitive, association.is_rejected = unread, True
        return association

    yield open_one
    for association in associations:
        if association.is_established:
            association.release()


@pytest.fixture
def ct() -> Callable[..., Dataset]:
    """Makes a CT slice of 16 × 16 pixels."""

    def make(number: int = 1) -> Dataset:
        ds = Dataset()
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = f"1.2.3.4.{number}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.0"
        ds.PatientName, ds.PatientID, ds.PatientBirthDate = "DONT^LOGME", "SECRET-ID", "19010203"
        ds.Modality = "CT"
        ds.Rows = ds.Columns = 16
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 1
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.PixelData = np.arange(256, dtype="<i2").tobytes()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        return ds

    return make


@pytest.fixture
def outgoing(ct: Callable[..., Dataset], tmp_path: Path) -> Callable[..., Outgoing]:
    """Writes a CT slice and describes it as something to send."""

    def write(number: int = 1, syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> Outgoing:
        ds = ct(number)
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)
        ds.file_meta.TransferSyntaxUID = UID(syntax)
        path = tmp_path / f"{number}.dcm"
        ds.save_as(path, enforce_file_format=True)
        return Outgoing(
            sop_class_uid=ds.SOPClassUID, sop_instance_uid=ds.SOPInstanceUID, transfer_syntax_uid=syntax, path=path
        )

    return write


@pytest.fixture
def timeouts() -> Timeouts:
    return Timeouts(connect_seconds=5, acse_seconds=20, dimse_seconds=20)


@pytest.fixture
def dcmtk() -> Run:
    """Runs a tool of DCMTK; skips where it is not installed."""

    def run(tool: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        path = shutil.which(tool)
        if path is None:
            pytest.skip(f"{tool} is not installed; Debian package dcmtk")
        command = [path, *map(str, arguments)]
        # Without it every message waits 40 ms for an acknowledgement on loopback.
        environment = os.environ | {"TCP_NODELAY": "1"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def digest_of() -> Callable[[Path], str]:
    """SHA-256 of the data set in a Part 10 file."""
    return lambda path: sha256(data_set_of(path)).hexdigest()


@pytest.fixture
def dcmtk_storescp(tmp_path: Path) -> Iterator[Callable[..., tuple[Peer, Path]]]:
    """Starts DCMTK's storescp and says where it listens and where it stores."""
    path = shutil.which("storescp")
    if path is None:
        pytest.skip("storescp is not installed; Debian package dcmtk")
    running: list[subprocess.Popen[str]] = []

    def start(*options: str, secure: Tls | None = None) -> tuple[Peer, Path]:
        folder = tmp_path / "storescp"
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [path, "-d", "-od", str(folder), "-aet", "PACS", *options, str(port)]
        environment = os.environ | {"TCP_NODELAY": "1"}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )
        running.append(process)
        peer = Peer(name="dcmtk", aet="PACS", host="127.0.0.1", port=port, tls=secure)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                echo(peer, calling_aet="NODE", timeouts=Timeouts(connect_seconds=5, acse_seconds=5))
            except PeerUnreachable:
                continue
            return peer, folder
        raise AssertionError("storescp did not start")

    yield start
    for process in running:
        process.terminate()
        process.wait(10)
