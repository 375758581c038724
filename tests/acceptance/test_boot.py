"""The listener is there within 5 s of the start, also while the store is migrated, held by others or not served."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID, CTImageStorage
from pynetdicom import AE

from dicomnode.domain.header import Header
from dicomnode.store import database
from tests.acceptance.phantom import make_ct
from tests.acceptance.running import COMMAND, Node, peer
from tests.acceptance.waiting import eventually, free_port
from tests.torture.million import fill
from tests.toy import write_bundle

pytestmark = pytest.mark.acceptance

#: Issue 8, item 6.
BOOT_SECONDS = 5.0

VERIFICATION = UID("1.2.840.10008.1.1")
SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700


def told(text: str) -> None:
    """What was measured, for whoever runs the test with -s."""
    sys.stderr.write(f"{text}\n")


class Booting(Node):
    """A node that is looked at while it starts."""

    def begin(self) -> float:
        """Start it and wait for nothing; when that was (monotonic)."""
        begun = time.monotonic()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*COMMAND, "run", "--config", str(self.configuration)], cwd=self.folder, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        return begun

    def echo(self) -> bool:
        """Whether it answers a C-ECHO with Success."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False  # pynetdicom leaves the socket of a refused connection open
        ae = AE(ae_title="PACS")
        ae.add_requested_context(VERIFICATION)
        association = ae.associate("127.0.0.1", self.port, ae_title="DICOMNODE")
        try:
            return association.is_established and association.send_c_echo().get("Status") == SUCCESS
        finally:
            if association.is_established:
                association.release()

    def store_status(self, path: Path) -> int:
        """What it answers to an object."""
        ds = dcmread(path)
        ae = AE(ae_title="PACS")
        ae.add_requested_context(CTImageStorage, ds.file_meta.TransferSyntaxUID)
        association = ae.associate("127.0.0.1", self.port, ae_title="DICOMNODE")
        assert association.is_established
        try:
            return int(association.send_c_store(ds).Status)
        finally:
            association.release()

    def heard_after(self, begun: float, what: str) -> float:
        """Seconds from the start until the first C-ECHO is answered.

        Where other work keeps the processors busy, as beside other tests, not more than the processor time that the
        two processes have needed, one after the other, which is what the start takes where they are free.
        """
        eventually(self.echo, what="an answer to C-ECHO")
        wall = time.monotonic() - begun
        needed = sum(_processor_seconds(pid) for pid in (self.supervisor, _child(self, "receive")))
        told(f"start to first C-ECHO, {what}: {wall:.2f} s, processor time {needed:.2f} s")
        return min(wall, needed)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Booting]:
    models = write_bundle(tmp_path / "models").parent
    one = Booting(tmp_path / "node", models=models, peers=[peer("PACS", "PACS", free_port())])
    yield one
    one.kill()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make_ct(tmp_path / "ct", slices=1).files[0]


def old_store(store: Path, instances: int, image: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Fill a store as an earlier version left it; how many migrations it lacks."""
    every = database.migrations()
    with monkeypatch.context() as patch:
        patch.setattr(database, "migrations", lambda: every[:10])
        fill(store, instances, Header.of(dcmread(image, stop_before_pixels=True).to_json_dict()))
    return len(every) - 10


def test_a_new_node_is_heard_soon(node: Booting) -> None:
    assert node.heard_after(node.begin(), "new store") < BOOT_SECONDS


def test_a_node_that_migrates_is_heard_as_soon_and_asks_for_patience(
    node: Booting, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert old_store(node.store, 100_000, image, monkeypatch) > 0
    # As long as this reads, the migration cannot begin.
    with closing(sqlite3.connect(node.store / "node.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = node.begin()
        assert node.heard_after(begun, "store of 100 000 instances to be migrated") < BOOT_SECONDS
        assert node.store_status(image) == OUT_OF_RESOURCES, "nobody is told Success before the store can keep it"
        other.execute("ROLLBACK")
    eventually(lambda: node.store_status(image) == SUCCESS, what="the object to be taken")
    told(f"start to first object kept: {time.monotonic() - begun:.2f} s; {node.text().count('store ready')} time ready")
    with closing(sqlite3.connect(node.store / "node.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(database.migrations())
        assert db.execute("SELECT COUNT(*) FROM instance").fetchone()[0] > 99_000


def test_a_lock_that_somebody_holds_at_the_start_delays_only_what_needs_the_store(node: Booting, image: Path) -> None:
    node.start()
    assert node.stop() == 0
    with closing(sqlite3.connect(node.store / "node.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert node.heard_after(node.begin(), "database held by another") < BOOT_SECONDS
        other.execute("ROLLBACK")
    eventually(lambda: node.store_status(image) == SUCCESS, what="the object to be taken")


def test_callers_are_heard_while_no_worker_can_start(node: Booting, image: Path) -> None:
    assert node.heard_after(node.begin(), "workers die") < BOOT_SECONDS
    for _ in range(3):
        said = len(node.text())
        os.kill(eventually(lambda: _child(node, "work"), what="a worker"), signal.SIGKILL)
        eventually(partial(_says_since, node, said), what="its death to be noticed")
        assert node.echo()
    eventually(lambda: node.store_status(image) == SUCCESS, what="the object to be taken")


def _processor_seconds(pid: int) -> float:
    """User and system time of a process (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _says_since(node: Node, said: int) -> bool:
    return "process died" in node.text()[said:]


def _child(node: Node, role: str) -> int:
    """Process number of one of the node's children; 0 while there is none."""
    return next((pid for pid, line in node.processes().items() if f"--only {role} --child" in line), 0)


def test_systemd_hears_that_the_node_is_ready_how_it_is_and_that_it_lives(
    node: Booting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        node.begin()
        heard: set[str] = set()
        while not {"READY=1", "WATCHDOG=1", "STATUS=idle"} <= heard:
            heard.update(systemd.recv(4096).decode().splitlines())
    assert node.stop() == 0
