"""The first study that a node analyses after its start against the second: what warming up costs the reader."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.node import PATIENCE_SECONDS, archive, delivered, moments, running, thorax
from bench.rows import Row, main, share_of
from bench.sender import prepared, send
from tests.acceptance.running import Node
from tests.acceptance.waiting import eventually
from tests.torture.load import Template

_IMAGES = 300


def measure(arguments: argparse.Namespace) -> Sequence[Row]:
    """Every run is a start of the whole node and two studies, one after the other, which never met it before."""
    first: list[float] = []
    second: list[float] = []
    with TemporaryDirectory(prefix="bench-first-") as name, archive(Path(name)) as port:
        template = thorax(Path(name) / "ct")
        for run in range(arguments.runs):
            folder = Path(name) / f"run-{run}"
            folder.mkdir()
            with running(folder, port, completion={"quiet_seconds": 0.5}) as node:
                first.append(_job_seconds(node, template, 2 * run))
                second.append(_job_seconds(node, template, 2 * run + 1))
    row = Row(
        name="first study after start, against the second",
        remark=f"{_IMAGES} CT instances, whole node, the job from claim to commit",
        ours=first,
        theirs=second,
        peer="the second",
        ratio=share_of(first, second),
        limit=1.3,
        aim=1.05,
        at_most=True,
    )
    return [row]


def _job_seconds(node: Node, template: Template, number: int) -> float:
    send(node.port, [prepared(template, number, _IMAGES)])
    study = template.study_number(number).decode()
    eventually(lambda: delivered(node, study), PATIENCE_SECONDS, "results in the archive")
    at = moments(node, study)
    return (at["job finished"] - at["job claimed"]).total_seconds()


if __name__ == "__main__":
    sys.exit(main("First study", measure))
