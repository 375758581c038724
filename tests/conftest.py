"""Fixtures that every test may use."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom.transport import AssociationSocket

from dicomnode.domain.header import Header
from dicomnode.domain.network import Association
from dicomnode.domain.study import Arrival
from dicomnode.store.database import Database
from dicomnode.store.files import Files

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real DICOM data sets; the test is skipped where they are not at hand."""
    named = os.environ.get("DICOMNODE_DATA")
    if named:
        return Path(named)
    unpack = ROOT.parent / "shared" / "data" / "unpack.py"
    if not unpack.exists():
        pytest.skip("the real data sets are not here; set DICOMNODE_DATA to their folder")
    done = subprocess.run([sys.executable, str(unpack)], check=True, capture_output=True, text=True)
    return Path(done.stdout.strip().splitlines()[-1])


@pytest.fixture(autouse=True)
def _log_of_this_test_alone() -> Iterator[None]:
    """A command that a test runs in this process sets up the log on a stream that ends with the test."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


class Hands:
    """A clock whose hands only a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 8, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@pytest.fixture(autouse=True, scope="session")
def _sockets_that_close() -> Iterator[None]:
    """Make pynetdicom's own SCU and SCP close a socket that the peer has shut first, or that found no peer.

    It calls `close` after `shutdown`, which fails then (`AssociationSocket._shutdown_socket`). What is left to the
    collector fails whichever test is under way when it comes.
    """

    def shut(connection: AssociationSocket) -> None:
        taken = connection.socket
        if taken is not None:
            with suppress(OSError):
                taken.shutdown(socket.SHUT_RDWR)
            taken.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AssociationSocket, "_shutdown_socket", shut)
        yield


@pytest.fixture
def clock() -> Hands:
    """The injected clock."""
    return Hands()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """An empty store."""
    return Files(tmp_path / "store")


@pytest.fixture
def db(files: Files, clock: Hands) -> Iterator[Database]:
    """Its database."""
    database = Database(files.folder / "node.db", clock=clock)
    yield database
    database.close()


MakeArrival = Callable[..., Arrival]


@pytest.fixture
def make_arrival(files: Files) -> MakeArrival:
    """Makes arrivals of small CT slices; keywords override attributes of the data set."""
    count = 0

    def make(
        number: int = 1,
        *,
        study: str = "1.2.3",
        series: str = "1.2.3.4",
        content: str = "",
        pixels: str = "pixels",
        association: str = "a1",
        peer: str = "PACS",
        on_demand: bool = False,
        **attributes: Any,
    ) -> Arrival:
        nonlocal count
        count += 1
        ds = Dataset()
        ds.update(
            Dataset.from_json(
                {
                    "00080060": {"vr": "CS", "Value": ["CT"]},
                    "00100020": {"vr": "LO", "Value": ["P1"]},
                    "00280010": {"vr": "US", "Value": [16]},
                    "00080008": {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY", "AXIAL"]},
                    "00200037": {"vr": "DS", "Value": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]},
                    "00200032": {"vr": "DS", "Value": [0.0, 0.0, float(number)]},
                    "00080020": {"vr": "DA", "Value": ["20261120"]},
                }
            )
        )
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = study, series, f"{series}.{number}"
        ds.FrameOfReferenceUID = f"{study}.9"
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)
        header = Header.of(ds.to_json_dict())
        ds.ImageComments = content
        ds.add_new("PixelData", "OW", pixels.encode())
        path = files.incoming / f"arrival-{count}"
        ds.preamble = f"{study} {series} {number}".encode().ljust(128, b"\0")
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dcmwrite(path, ds, enforce_file_format=True)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return Arrival(
            association=Association(
                association_id=association, calling_aet=peer, called_aet="DICOMNODE", address="127.0.0.1", peer=peer
            ),
            path=path,
            header=header,
            study_instance_uid=study,
            series_instance_uid=series,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid=f"{series}.{number}",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            digest=digest,
            size_bytes=path.stat().st_size,
            on_demand=on_demand,
        )

    return make
