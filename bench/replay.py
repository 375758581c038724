"""A department's day at a hundred times its speed: small studies come in step, and none may pile up."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.node import PATIENCE_SECONDS, archive, running
from bench.rows import Row, main
from bench.sender import prepared, send
from dicomnode.domain.clock import from_text
from tests.acceptance.phantom import make_ct
from tests.acceptance.running import Node
from tests.acceptance.waiting import eventually
from tests.torture.load import Template

#: 86 400 s hold 1 500 studies; a hundred times as fast one comes every 0.576 s.
_EVERY_SECONDS = 86_400 / 1500 / 100

#: A node that does less than what comes lets one in a hundred wait for ever: of 520 studies 5, on average 2.6 more in
#: the second half than in the first. A hiccup that is made good is less than one.
_MOST_MORE = 1.0

#: The smallest study that the toy network takes, and what it gives.
_IMAGES, _RESULTS = 4, 2


def measure(arguments: argparse.Namespace) -> Sequence[Row]:
    """One stretch of the day; studies come by the clock, whether or not those before are done."""
    studies = int(arguments.seconds / _EVERY_SECONDS)
    with TemporaryDirectory(prefix="bench-replay-") as name, archive(Path(name)) as port:
        template = Template.of(make_ct(Path(name) / "ct", slices=_IMAGES, announced=_IMAGES).files)
        with running(Path(name), port) as node:
            waiting = _replayed(node, template, studies)
            done = "SELECT COUNT(*) FROM delivery WHERE state = 'done'"
            eventually(lambda: node.rows(done) == [(studies * _RESULTS,)], PATIENCE_SECONDS, "every result")
            seconds = _seconds_to_result(node)
    half = len(waiting) // 2
    early, late = statistics.mean(waiting[:half]), statistics.mean(waiting[half:])
    name = f"1 500 studies a day at 100 × speed, {studies} studies"
    told = f"of {studies} studies {len(seconds)} have results; at most {max(waiting)} waited or ran at a time"
    return [
        Row(name=f"{name}: p95 from the last instance to the results", ours=[statistics.quantiles(seconds, n=20)[-1]],
            ratio=statistics.median(seconds), limit=None, remark="ratio: the median"),
        Row(name=f"{name}: studies more that waited or ran in the second half", ours=[late], theirs=[early],
            peer="first half", unit="on average", ratio=late - early, limit=_MOST_MORE, at_most=True, remark=told),
    ]  # fmt: skip


def _replayed(node: Node, template: Template, studies: int) -> list[int]:
    """How many studies had settled and had no result yet, whenever another one came."""
    waiting = []
    begun = time.monotonic()
    with ThreadPoolExecutor() as senders:
        sending = []
        for number in range(studies):
            time.sleep(max(0.0, begun + number * _EVERY_SECONDS - time.monotonic()))
            sending.append(senders.submit(send, node.port, [prepared(template, number, _IMAGES)]))
            asked = "SELECT COUNT(*) FROM job WHERE state IN ('waiting', 'running')"
            waiting.append(int(node.rows(asked)[0][0]))
        for one in sending:
            one.result()
    return waiting


def _seconds_to_result(node: Node) -> list[float]:
    rows = node.rows(
        "SELECT (SELECT MAX(arrived_at) FROM instance WHERE instance.study_instance_uid = study.study_instance_uid),"
        " (SELECT MAX(changed_at) FROM delivery WHERE delivery.study_instance_uid = study.study_instance_uid)"
        " FROM study"
    )
    return [(from_text(done) - from_text(arrived)).total_seconds() for arrived, done in rows if done]


if __name__ == "__main__":
    sys.exit(main("A day replayed", measure, ("--seconds", float, 300.0)))
