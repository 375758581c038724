"""Many associations at once: everything acknowledged is stored, none waits for ever, memory stays as it is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.acceptance.peers import data_set_of
from tests.acceptance.phantom import make_ct
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import free_port
from tests.torture.load import Load, Template
from tests.torture.memory import Memory
from tests.toy import write_bundle

_IDLE_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowded:
    """What came of it; memory of the receiving process early and late, in MiB."""

    associations: int
    acknowledged: int
    refused: int
    lost: int
    per_second: float
    longest_answer_seconds: float
    early_mib: float
    late_mib: float

    @property
    def growth(self) -> float:
        """Of memory, as a fraction."""
        return self.late_mib / self.early_mib - 1


def crowd(folder: Path, *, associations: int = 64, images: int = 100, seconds: float = 60.0) -> Crowded:
    """Let so many peers send study after study of so many images, and audit.

    Raises
    ------
    TimeoutError
        An object was not answered within a minute.
    """
    write_bundle(folder / "models")
    # Results are none of this: every study settles, and no rule asks for it.
    # An association that has ended counts until the node has cleared up behind it.
    most = 2 * associations
    limits = {"maximum_associations": most, "maximum_associations_per_peer": most}
    node = Node(
        folder / "node", models=folder / "models", peers=[peer("PACS", "ORTHANC", free_port())], rules="",
        node={**_node(), **limits}, log={"level": "info"},
    )  # fmt: skip
    template = Template.of(make_ct(folder / "ct", slices=20).files)
    try:
        node.start()
        load = Load(node.port, template)
        begun = monotonic()
        with Memory(node, lambda: monotonic() - begun) as memory:
            load.keep_busy(associations, images, lambda: monotonic() - begun > seconds)
            took = monotonic() - begun
        node.wait_idle(_IDLE_SECONDS)
        return Crowded(
            associations=associations, acknowledged=len(load.acknowledged), refused=load.refused,
            lost=_lost(node, load), per_second=len(load.acknowledged) / took,
            longest_answer_seconds=max(load.seconds), early_mib=memory.typical_mib("receive", took * 0.2, took * 0.4),
            late_mib=memory.typical_mib("receive", took * 0.8, took),
        )  # fmt: skip
    finally:
        node.kill()


def _node() -> dict[str, object]:
    return {"aet": "DICOMNODE", "host": "127.0.0.1", "drain_seconds": 10}


def _lost(node: Node, load: Load) -> int:
    """Objects that were acknowledged and are not on the disk and in the books as they were sent."""
    rows = dict(node.rows("SELECT sop_instance_uid, path FROM instance WHERE standing = 'current'"))
    return sum(
        uid not in rows or hashlib.sha256(data_set_of(node.store / rows[uid])).hexdigest() != digest
        for uid, digest in load.acknowledged.items()
    )
