"""Starts the installed command on loopback with a configuration of its own, and stops it again."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicomnode.config import shipped
from dicomnode.deliver import dimse
from dicomnode.domain.errors import PeerUnreachable
from dicomnode.domain.network import Peer

_START_SECONDS = 60.0


def configure(folder: Path, node: Peer, pacs_port: int) -> Path:
    """Write a configuration with one peer on this machine and the chest CT rule; its file."""
    path = folder / "dicomnode.toml"
    path.write_text(
        f"""\
# Written by `dicomnode demo`.
[node]
aet = "{node.aet}"
host = "{node.host}"
port = {node.port}

[store]
folder = "store"

[models]
folder = "{shipped("models")}"

[completion]
quiet_seconds = 1
max_study_age_days = 0             # whatever is shown here may be old

[[peer]]
name = "PACS"
aet = "DEMOPACS"
host = "127.0.0.1"
port = {pacs_port}
accept_research = true

[[rule]]
name = "chest-ct"
model = "lung-ct"
[rule.series]
Modality = "CT"
""",
        encoding="utf-8",
    )
    return path


@contextmanager
def running(configuration: Path, log: Path) -> Iterator[None]:
    """The node, as the installed command, for as long as the block lasts."""
    with log.open("wb") as output:
        command = [sys.executable, "-m", "dicomnode", "run", "--config", str(configuration)]
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


def wait_for(node: Peer) -> None:
    """Return when the node answers C-ECHO.

    Raises
    ------
    PeerUnreachable
        If it does not within a minute.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            dimse.echo(node, calling_aet="DEMOPACS", timeouts=dimse.Timeouts())
        except PeerUnreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
