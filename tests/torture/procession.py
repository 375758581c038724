"""Many small studies through the whole node, one after the other: no process grows with their number."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.acceptance.peers import CountingPacs, listens
from tests.acceptance.phantom import make_ct
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import eventually, free_port
from tests.torture.load import Load, Template
from tests.torture.memory import ROLES, Memory
from tests.toy import write_bundle

#: The smallest study that the toy model takes.
_SLICES = 4
#: So many studies may be on their way at a time.
_AHEAD = 3
_RESULTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What came of it; memory in MiB by process, after `warm` studies and at the end."""

    studies: int
    warm: int
    delivered: int
    per_minute: float
    early_mib: dict[str, float]
    late_mib: dict[str, float]

    def growth(self, role: str) -> float:
        """Of the memory of a process, as a fraction."""
        return self.late_mib[role] / self.early_mib[role] - 1


def procession(folder: Path, *, studies: int = 1000, warm: int = 100) -> Passed:
    """Send so many studies, have them analysed and their results delivered."""
    write_bundle(folder / "models")
    template = Template.of(make_ct(folder / "ct", slices=_SLICES, announced=_SLICES).files)
    with _archive(folder) as port:
        node = Node(
            folder / "node", models=folder / "models", peers=[peer("PACS", "ORTHANC", port)], log={"level": "info"},
        )  # fmt: skip
        try:
            node.start()
            return _pass(node, template, studies, warm)
        finally:
            node.kill()


def _pass(node: Node, template: Template, studies: int, warm: int) -> Passed:
    load = Load(node.port, template)
    begun = monotonic()
    passed = [0]
    with Memory(node, lambda: passed[0]) as memory:
        for number in range(studies):
            asyncio.run(load.send(number, _SLICES))
            eventually(lambda number=number: _delivered(node) >= (number - _AHEAD) * _RESULTS, 300)  # type: ignore[misc]
            passed[0] = number
        eventually(lambda: _delivered(node) >= studies * _RESULTS, 300, "every result to be delivered")
    took = monotonic() - begun
    window = max(10, (studies - warm) // 10)
    roles = (*ROLES, "supervisor")
    return Passed(
        studies=studies, warm=warm, delivered=_delivered(node), per_minute=60 * studies / took,
        early_mib={role: memory.typical_mib(role, warm, warm + window) for role in roles},
        late_mib={role: memory.typical_mib(role, studies - window, studies) for role in roles},
    )  # fmt: skip


def _delivered(node: Node) -> int:
    rows = node.rows("SELECT COUNT(*) FROM delivery WHERE state = 'done'")
    return int(rows[0][0]) if rows else 0


@contextmanager
def _archive(folder: Path) -> Iterator[int]:
    """Port of an archive that forgets what it is given: DCMTK's storescp, else one that remembers it."""
    program = shutil.which("storescp")
    if program is None:
        pacs = CountingPacs()
        pacs.start()
        yield pacs.port
        pacs.stop()
        return
    port = free_port()
    command = [program, "--ignore", "--promiscuous", "-aet", "ORTHANC", str(port)]
    with (folder / "archive.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        eventually(lambda: listens(port), what="storescp to listen")
        yield port
    finally:
        process.kill()
        process.wait()
