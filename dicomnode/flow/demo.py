"""Shows the node at work from nothing: a phantom, a stand-in PACS, the installed command, and what came back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydicom import Dataset, dcmread

from dicomnode.deliver import dimse
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.network import Peer
from dicomnode.flow.offline import files_below, outgoing
from dicomnode.flow.picture import draw
from dicomnode.flow.standin import StandInPacs
from dicomnode.flow.trial import configure, free_port, running, wait_for
from dicomnode.receive.admission import Admission
from dicomnode.receive.scp import Listener
from dicomnode.train.phantoms import thorax
from dicomnode.train.series import to_datasets

_READY_SECONDS = 60.0
_RESULT_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What came back to the stand-in PACS."""

    sent: int
    seconds: float
    datasets: tuple[Dataset, ...] = field(repr=False)
    files: tuple[Path, ...]
    picture: Path | None
    configuration: Path


def demonstrate(folder: Path, study: Path | None = None) -> Returned:
    """Run the whole path once on loopback and collect what comes back.

    Parameters
    ----------
    folder
        Takes configuration, store, log and results; made when absent.
    study
        A folder with a chest CT; a phantom is made when absent.

    Raises
    ------
    DicomNodeError
        If the node does not start or nothing comes back in time.
    """
    for part in ("returned", "incoming", "phantom"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    paths = list(files_below([study])) if study else _phantom(folder / "phantom")
    pacs = StandInPacs(folder / "returned")
    listener = Listener(
        aets=["DEMOPACS"],
        host="127.0.0.1",
        port=0,
        admission=Admission(peers=(), called_aets=frozenset({"DEMOPACS"}), accept_unknown=True),
        intake=pacs,
        incoming=folder / "incoming",
    )
    listener.start()
    try:
        node = Peer(name="node", aet="DICOMNODE", host="127.0.0.1", port=free_port())
        configuration = configure(folder, node, listener.port)
        with running(configuration, folder / "node.log"):
            wait_for(node)
            started = time.monotonic()
            sent = _send(node, paths)
            _wait_for_report(pacs)
            seconds = time.monotonic() - started
    finally:
        listener.stop(5)
    datasets = tuple(dcmread(path) for path in pacs.files)
    picture = draw(paths, datasets, folder / "contour.png")
    return Returned(
        sent=sent,
        seconds=seconds,
        datasets=datasets,
        files=tuple(pacs.files),
        picture=picture,
        configuration=configuration,
    )


def _phantom(folder: Path) -> list[Path]:
    phantom = thorax(seed=int(time.time()) % 10_000)
    paths = []
    for number, ds in enumerate(to_datasets(phantom, study_date=datetime.now(UTC).date())):
        path = folder / f"{number:03}.dcm"
        ds.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _send(node: Peer, paths: Sequence[Path]) -> int:
    files = [one for path in paths if (one := outgoing(path)) is not None]
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        receipts = list(dimse.send(node, files, calling_aet="DEMOPACS", timeouts=dimse.Timeouts()))
        refused = [receipt for receipt in receipts if not receipt.stored]
        if not refused:
            return len(receipts)
        # The listener answers "try later" while the store is still being made; what it has taken it knows again.
        if any(receipt.final for receipt in refused) or time.monotonic() > deadline:
            raise DicomNodeError(f"{len(refused)} of {len(receipts)} objects were not taken: {refused[0].words}")
        time.sleep(0.2)


def _wait_for_report(pacs: StandInPacs) -> None:
    """The report goes last, so when it is here everything is."""

    def has_report() -> bool:
        return any(path.name.startswith("SR") for path in pacs.files)

    with pacs.news:
        if not pacs.news.wait_for(has_report, timeout=_RESULT_SECONDS):
            raise DicomNodeError(f"no report came back within {_RESULT_SECONDS:.0f} s; see node.log")
