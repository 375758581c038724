"""From the moment a study settles until its archive has acknowledged all results, without the network's arithmetic."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.node import PATIENCE_SECONDS, archive, delivered, moments, running, thorax
from bench.rows import Row, main
from bench.sender import prepared, send
from dicomnode.flow.shown.times import stages
from tests.acceptance.running import Node
from tests.acceptance.waiting import eventually

_IMAGES = 300


def measure(arguments: argparse.Namespace) -> Sequence[Row]:
    """One study after another, of which the first is for warming up."""
    found: list[dict[str, float]] = []
    with TemporaryDirectory(prefix="bench-settled-") as name, archive(Path(name)) as port:
        template = thorax(Path(name) / "ct")
        with running(Path(name), port, completion={"quiet_seconds": 0.5}) as node:
            for number in range(arguments.runs + 1):
                send(node.port, [prepared(template, number, _IMAGES)])
                study = template.study_number(number).decode()
                eventually(lambda study=study: delivered(node, study), PATIENCE_SECONDS, "results in the archive")  # type: ignore[misc]
                found.append(_spans(node, study))
    del found[0]
    ours = [one["all"] for one in found]
    middle = {name: statistics.median(one[name] for one in found) for name in found[0] if name != "all"}
    return [
        Row(
            name="settled → all results acknowledged by the PACS, minus network inference time",
            ours=ours, ratio=statistics.median(ours), limit=2.0, aim=0.7, at_most=True,
            remark="300 CT instances, SEG and SR; medians of " + ", ".join(f"{n} {s:.2f}" for n, s in middle.items()),
        )
    ]  # fmt: skip


def _spans(node: Node, study: str) -> dict[str, float]:
    at = moments(node, study)
    (words,) = node.rows(
        "SELECT detail FROM event WHERE study_instance_uid = ? AND entity = 'job' AND arrow = 'finished'", study
    )
    spent = {one.name: one.seconds for one in stages(words[0])}
    infer = spent.pop("infer")
    settled, claimed, finished, done = (
        at[what] for what in ("study settled", "job claimed", "job finished", "delivery finished")
    )
    analysing = (finished - claimed).total_seconds()
    return {
        "all": (done - settled).total_seconds() - infer,
        "to claim": (claimed - settled).total_seconds(),
        **spent,
        "to keep and commit": analysing - infer - sum(spent.values()),
        "to claim what is sent": (at["delivery claimed"] - finished).total_seconds(),
        "to send": (done - at["delivery claimed"]).total_seconds(),
    }


if __name__ == "__main__":
    sys.exit(main("Settled to acknowledged", measure))
