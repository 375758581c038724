"""Ingest: this node, durable and with its index, against receivers that neither sync nor index, and Orthanc.

    .venv/bin/python -m bench.ingest --instances 300 --runs 5

The sender is DCMTK's dcmsend, a process for each association; every measurement has a receiver and a store of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from bench.rows import Row, alternating, main, times_faster
from dicomnode.train.phantoms import Phantom
from dicomnode.train.series import to_datasets

#: Without it, Nagle's algorithm makes every instance wait 40 ms on the loopback interface.
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}

NODE, PYNETDICOM, DCMTK, ORTHANC = "dicomnode", "pynetdicom storescp", "DCMTK storescp", "Orthanc"

CONFIGURATION = """
[node]
aet = "BENCH"
host = "127.0.0.1"
port = {port}
accept_unknown = true
[store]
folder = "{folder}/store"
[completion]
quiet_seconds = 3600
long_quiet_seconds = 3600
"""

#: pynetdicom's storescp as it is, but that it takes more than ten associations, for which its command has no option.
FOR_MANY = """
import sys
from pynetdicom.ae import ApplicationEntity
from pynetdicom.apps.storescp.storescp import main
made = ApplicationEntity.__init__
def make(self, *arguments, **options):
    made(self, *arguments, **options)
    self.maximum_associations = 64
ApplicationEntity.__init__ = make
main(sys.argv[1:])
"""

#: The node answers from its first moment, and takes objects once its store is open.
READY = "node ready"

#: (associations, peer, at least, aim)
COMPARED: tuple[tuple[int, str, float, float], ...] = (
    (1, PYNETDICOM, 1.5, 3),
    (1, ORTHANC, 1.5, 4),
    (1, DCMTK, 0.35, 0.7),
    (4, PYNETDICOM, 2, 5),
    (16, PYNETDICOM, 2, 5),
)


def measure(arguments: argparse.Namespace) -> Sequence[Row]:
    """The rows; a receiver that is not installed ends it."""
    for tool in ("dcmsend", "storescp", "Orthanc"):
        if shutil.which(tool) is None:
            sys.exit(f"needs {tool} (Debian packages dcmtk and orthanc)")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        study = make_study(Path(name) / "study", arguments.instances)
        for associations in dict.fromkeys(count for count, *_ in COMPARED):
            peers = [peer for count, peer, *_ in COMPARED if count == associations]
            ways: dict[str, Callable[[], float]] = {
                receiver: partial(seconds, receiver, study, associations) for receiver in (NODE, *peers)
            }
            found = alternating(ways, arguments.runs, warm=False)
            rows += [
                Row(
                    name=f"ingest, {count} association{'s' if count > 1 else ''}, {arguments.instances} CT instances",
                    ours=found[NODE], theirs=found[peer], peer=peer, limit=least, aim=aim,
                    ratio=times_faster(found[NODE], found[peer]),
                )
                for count, peer, least, aim in COMPARED if count == associations
            ]  # fmt: skip
    return rows


def make_study(folder: Path, instances: int) -> Path:
    """A CT of 512 × 512 noise: half a megabyte for each slice, which no file system can shrink."""
    folder.mkdir()
    noise = np.random.default_rng(1).integers(-1000, 1000, (instances, 512, 512), dtype=np.int16)
    phantom = Phantom(
        hounsfield=noise,
        labels=np.zeros(noise.shape, np.uint8),
        spacing_mm=(1.0, 0.7, 0.7),
        origin_mm=(0, 0, 0),
        seed=1,
    )
    for number, ds in enumerate(to_datasets(phantom)):
        ds.save_as(folder / f"{number:04}.dcm", enforce_file_format=True)
    return folder


def seconds(receiver: str, study: Path, associations: int) -> float:
    """From the start of the senders to the end of the last; a sender that was refused anything is an error."""
    files = sorted(study.iterdir())
    with tempfile.TemporaryDirectory() as name, running(receiver, Path(name)) as port:
        command = ["dcmsend", "-aec", "BENCH", "127.0.0.1", str(port)]
        start = time.perf_counter()
        senders = [
            subprocess.Popen([*command, *files[number::associations]], env=ENVIRONMENT, stderr=subprocess.PIPE)
            for number in range(associations)
        ]
        told = [sender.communicate()[1] for sender in senders]
        taken = time.perf_counter() - start
        if any(sender.returncode for sender in senders) or any(b"E:" in one for one in told):
            raise RuntimeError(f"{receiver} did not take everything: {b''.join(told)[-500:]!r}")
        return taken


@contextmanager
def running(receiver: str, folder: Path) -> Iterator[int]:
    """A receiver that is ready to store into `folder`; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(_command(receiver, folder, port), env=ENVIRONMENT, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while not _is_ready(receiver, port, log):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"{receiver} does not start: {log.read_text(errors='replace')[-500:]}")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=60)


def _is_ready(receiver: str, port: int, log: Path) -> bool:
    if receiver == NODE and READY not in log.read_text(errors="replace"):
        return False
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _command(receiver: str, folder: Path, port: int) -> Sequence[str]:
    if receiver == NODE:
        path = folder / "dicomnode.toml"
        path.write_text(CONFIGURATION.format(port=port, folder=folder))
        return [sys.executable, "-m", "dicomnode", "run", "--config", str(path), "--only", "receive"]
    if receiver == PYNETDICOM:
        return [sys.executable, "-c", FOR_MANY, str(port), "-aet", "BENCH", "-od", str(folder), "-q"]
    if receiver == ORTHANC:
        path = folder / "orthanc.json"
        path.write_text(
            json.dumps(
                {
                    "Name": "BENCH", "DicomAet": "BENCH", "DicomPort": port, "DicomCheckCalledAet": False,
                    "HttpServerEnabled": False, "StorageDirectory": str(folder / "db"),
                    "IndexDirectory": str(folder / "db"), "Plugins": [],
                }
            )
        )  # fmt: skip
        return ["Orthanc", str(path)]
    return ["storescp", "-aet", "BENCH", "--fork", "-od", str(folder), str(port)]


if __name__ == "__main__":
    sys.exit(main("Ingest", measure, ("--instances", int, 300)))
