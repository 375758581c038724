"""Ingest over one association: this node, durable, against peers that neither sync nor index, in alternating runs.

    .venv/bin/python bench/ingest.py --instances 300 --runs 5

Prints seconds (median, least, most) for each receiver and the ratio of rates. The sender is DCMTK's dcmsend.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dicomnode.train.phantoms import Phantom
from dicomnode.train.series import to_datasets

#: Without it, Nagle's algorithm makes every instance wait 40 ms on the loopback interface.
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}

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


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=300)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    for tool in ("dcmsend", "storescp"):
        if shutil.which(tool) is None:
            sys.exit(f"needs {tool} (Debian package dcmtk)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = _study(folder / "study", arguments.instances)
        seconds: dict[str, list[float]] = {"dicomnode": [], "pynetdicom storescp": [], "DCMTK storescp": []}
        for run in range(arguments.runs):
            for receiver in seconds:
                seconds[receiver].append(_measure(receiver, folder / f"{run}-{receiver.replace(' ', '-')}", study))
    _print(seconds, arguments.instances)


def _study(folder: Path, instances: int) -> Path:
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


def _measure(receiver: str, folder: Path, study: Path) -> float:
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with _running(_command(receiver, folder, port), port):
        command = ["dcmsend", "-aec", "BENCH", "--scan-directories", "127.0.0.1", str(port), str(study)]
        start = time.perf_counter()
        subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True)
        return time.perf_counter() - start


def _command(receiver: str, folder: Path, port: int) -> Sequence[str]:
    if receiver == "dicomnode":
        path = folder / "dicomnode.toml"
        path.write_text(CONFIGURATION.format(port=port, folder=folder))
        return [sys.executable, "-m", "dicomnode", "run", "--config", str(path), "--only", "receive"]
    if receiver == "pynetdicom storescp":
        return [sys.executable, "-m", "pynetdicom", "storescp", str(port), "-aet", "BENCH", "-od", str(folder), "-q"]
    return ["storescp", "-aet", "BENCH", "-od", str(folder), str(port)]


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def _print(seconds: dict[str, list[float]], instances: int) -> None:
    ours = statistics.median(seconds["dicomnode"])
    print(f"{instances} CT instances of 0.5 MB, one association, {len(seconds['dicomnode'])} alternating runs")
    print("| receiver | median s | least | most | dicomnode's rate is |")
    print("|---|---|---|---|---|")
    for receiver, found in seconds.items():
        median = statistics.median(found)
        ratio = "" if receiver == "dicomnode" else f"{median / ours:.2f} × its rate"
        print(f"| {receiver} | {median:.2f} | {min(found):.2f} | {max(found):.2f} | {ratio} |")


if __name__ == "__main__":
    main()
