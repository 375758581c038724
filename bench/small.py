"""Small objects from many peers at once: how many are stored in a second, and whether every one is."""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from bench.node import running
from bench.rows import Row, alternating, main
from bench.sender import prepared, send
from tests.acceptance.peers import data_set_of
from tests.acceptance.phantom import make_ct
from tests.acceptance.running import Node
from tests.acceptance.waiting import free_port
from tests.torture.load import Template

_ASSOCIATIONS = (1, 4, 16, 64)

#: Of one turn, whatever the number of associations that are open at a time, so that all turns are the same work.
_STUDIES, _IMAGES = 64, 20


def measure(arguments: argparse.Namespace) -> Sequence[Row]:
    """All numbers of associations in turn against one node that analyses nothing."""
    with TemporaryDirectory(prefix="bench-small-") as name:
        folder = Path(name)
        template = Template.of(make_ct(folder / "ct", slices=20).files)
        most = {"maximum_associations": 128, "maximum_associations_per_peer": 128}
        with running(folder, free_port(), rules="", node=most) as node:
            crowds = {count: _Crowd(node, template, count) for count in _ASSOCIATIONS}
            rates = alternating({str(count): crowd.turn for count, crowd in crowds.items()}, arguments.runs)
            lost = _lost(node)
            sent = sum(len(crowd.seconds) for crowd in crowds.values())
            stored = node.rows("SELECT COUNT(*) FROM instance WHERE standing = 'current'")[0][0]
    kept = f"{len(template.contents[0]) / 1000:.0f} kB each; {sent} acknowledged, {stored} stored, {lost} damaged"
    rows = [
        Row(
            name=f"small objects, {count} associations at a time", ours=rates[str(count)], unit="/s", limit=None,
            ratio=statistics.median(rates[str(count)]), remark=f"p95 of the latency {crowds[count].p95_ms:.0f} ms",
        )
        for count in _ASSOCIATIONS
    ]  # fmt: skip
    at_64, at_4 = rates["64"], rates["4"]
    fall = statistics.median(at_64) / statistics.median(at_4)
    name = "small objects, 64 associations against 4: no fall"
    every = float(stored == sent and not lost)
    return [
        *rows,
        Row(name=name, ours=at_64, theirs=at_4, peer="4", unit="/s", ratio=fall, limit=1.0),
        Row(name="small objects: share that is stored as it was sent", ours=[every], unit="", ratio=every, limit=1.0,
            remark=kept),
    ]  # fmt: skip


class _Crowd:
    """Sends as many objects with every turn, of other studies each time."""

    def __init__(self, node: Node, template: Template, associations: int) -> None:
        self._node, self._template, self._associations = node, template, associations
        self._turns = 0
        self.seconds: list[float] = []

    def turn(self) -> float:
        """Objects in a second."""
        first = (self._turns * 1000 + self._associations) * 1000
        self._turns += 1
        studies = [prepared(self._template, first + one, _IMAGES) for one in range(_STUDIES)]
        begun = perf_counter()
        self.seconds += send(self._node.port, studies, self._associations)
        return _STUDIES * _IMAGES / (perf_counter() - begun)

    @property
    def p95_ms(self) -> float:
        """Of the time from a request to its answer."""
        return 1000 * statistics.quantiles(self.seconds, n=20)[-1]


def _lost(node: Node) -> int:
    """Objects in the books whose file is not what was sent."""
    rows = node.rows("SELECT digest, path FROM instance WHERE standing = 'current'")
    return sum(hashlib.sha256(data_set_of(node.store / path)).hexdigest() != digest for digest, path in rows)


if __name__ == "__main__":
    sys.exit(main("Small objects", measure))
