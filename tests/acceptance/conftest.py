"""Nodes, peers and images; whatever is started is killed at the end, and no log may name the patient."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.orthanc import Orthanc
from tests.acceptance.peers import CountingPacs
from tests.acceptance.phantom import Ct, make_ct
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import free_port
from tests.toy import write_bundle

MakeNode = Callable[..., Node]
MakeOrthanc = Callable[..., Orthanc]
DcmSend = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def ct(tmp_path: Path) -> Ct:
    """Twelve slices with a ball."""
    return make_ct(tmp_path / "ct")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of bundles with the toy network, which labels what is denser than water."""
    write_bundle(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def make_node(tmp_path: Path, models: Path) -> Iterator[MakeNode]:
    """Makes nodes; at the end kills what is left of them, keeps their logs for a report, and searches those."""
    nodes: list[Node] = []

    def make(name: str = "node", **settings: Any) -> Node:
        nodes.append(Node(tmp_path / name, **{"models": models, **settings}))
        return nodes[-1]

    yield make
    for node in nodes:
        node.kill()
        sys.stdout.write(f"---- log of {node.folder.name}\n{node.text()}")
    assert [line for node in nodes for line in node.leaks()] == []


@pytest.fixture
def pacs() -> Iterator[CountingPacs]:
    """A listening PACS called ORTHANC that counts."""
    archive = CountingPacs()
    archive.start()
    yield archive
    archive.stop()


@pytest.fixture
def node(make_node: MakeNode, pacs: CountingPacs) -> Node:
    """A node that knows the counting PACS; to be started by the test."""
    return make_node(peers=[peer("PACS", pacs.aet, pacs.port)])


@pytest.fixture
def make_orthanc(tmp_path: Path) -> Iterator[MakeOrthanc]:
    """Starts Orthancs that know a node by its port."""
    started: list[Orthanc] = []

    def make(node_port: int, lua: str = "", more: Mapping[str, Any] | None = None) -> Orthanc:
        started.append(Orthanc(tmp_path / f"orthanc{len(started)}", node_port, lua, more=more))
        return started[-1].start()

    yield make
    for one in started:
        one.stop()


@pytest.fixture
def dcmsend() -> DcmSend:
    """DCMTK's dcmsend on a folder or files; skips where it is not installed."""
    program = shutil.which("dcmsend")
    if program is None:
        pytest.skip("dcmsend is not installed; Debian package dcmtk")

    def run(
        *paths: Path, port: int, calling: str = "ORTHANC", called: str = "DICOMNODE"
    ) -> subprocess.CompletedProcess[str]:
        command = [program, "-v", "-aet", calling, "-aec", called, "+sd", "+r", "+sp", "*.dcm", "127.0.0.1", str(port)]
        # Without TCP_NODELAY every message waits 40 ms for an acknowledgement on loopback.
        return subprocess.run(
            [*command, *map(str, paths)],
            env=os.environ | {"TCP_NODELAY": "1"}, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def node_port() -> int:
    """A port for a node whose peers must know it beforehand."""
    return free_port()
