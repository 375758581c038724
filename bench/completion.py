"""From the last instance to the results in the archive, by what says that a study is complete."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.node import PATIENCE_SECONDS, archive, delivered, moments, running
from bench.rows import Row, main, times_faster
from bench.sender import keep_open, prepared, send
from tests.acceptance.phantom import make_ct
from tests.acceptance.running import Node
from tests.acceptance.waiting import eventually
from tests.torture.load import Template

_IMAGES = 20

#: What is known of a study → whether its association ends, and whether its images say how many they are.
_KINDS: Mapping[str, tuple[bool, bool]] = {
    "association open, nothing announced": (False, False),
    "association open, images announced": (False, True),
    "association closed, nothing announced": (True, False),
    "association closed, images announced": (True, True),
}
_QUIET = "association open, nothing announced"


def measure(arguments: argparse.Namespace) -> Sequence[Row]:
    """A study of each kind at a time, all under the waiting times that a new node has."""
    seconds: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    evidence: dict[str, str] = {}
    defaults = {"quiet_seconds": 5.0}
    with TemporaryDirectory(prefix="bench-completion-") as name, archive(Path(name)) as port:
        templates = {
            announced: Template.of(make_ct(Path(name) / f"ct-{announced}", slices=_IMAGES, announced=announced).files)
            for announced in (None, _IMAGES)
        }
        with running(Path(name), port, completion=defaults) as node:
            for run in range(-1, arguments.runs):
                for kind, (took, why) in _turn(node, templates, (run + 1) * len(_KINDS)).items():
                    evidence[kind] = why
                    if run >= 0:
                        seconds[kind].append(took)
    alone = seconds[_QUIET]
    return [
        Row(
            name=f"last instance → results in the PACS: {kind}", ours=found, theirs=alone if kind != _QUIET else (),
            peer="quiet time alone", ratio=times_faster(found, alone), limit=1.0 if kind != _QUIET else None,
            remark=f"fired: {evidence[kind]}",
        )
        for kind, found in seconds.items()
    ]  # fmt: skip


def _turn(node: Node, templates: Mapping[int | None, Template], first: int) -> dict[str, tuple[float, str]]:
    """One study of each kind at the same time: seconds, and what settled it."""
    studies, held = {}, []
    for number, (kind, (closed, announced)) in enumerate(_KINDS.items(), first):
        template = templates[_IMAGES if announced else None]
        requests = prepared(template, number, _IMAGES)
        held.append(nullcontext(send(node.port, [requests])) if closed else closing(keep_open(node.port, requests)))
        studies[kind] = template.study_number(number).decode()
    found = {}
    for kind, study in studies.items():
        eventually(_all_of(node, study), PATIENCE_SECONDS, f"results: {kind}")
        at = moments(node, study)
        took = (at["delivery finished"] - at["instance arrived"]).total_seconds()
        (why,) = node.rows("SELECT reason FROM study WHERE study_instance_uid = ?", study)
        found[kind] = (took, str(why[0]))
    for one in held:
        with one:
            pass
    return found


def _all_of(node: Node, study: str) -> Callable[[], bool]:
    return lambda: delivered(node, study)


if __name__ == "__main__":
    sys.exit(main("Completion by evidence", measure))
