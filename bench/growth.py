"""What an object, a claim and a look at the node cost in stores of a thousand to a million instances."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from pydicom import dcmread

from bench.node import running
from bench.rows import Row, alternating, main, share_of
from bench.sender import prepared, send
from dicomnode.domain.header import Header
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs
from dicomnode.store.story import Story
from tests.acceptance.phantom import make_ct
from tests.acceptance.running import Node
from tests.acceptance.waiting import free_port
from tests.torture.load import Template
from tests.torture.million import fill

_INSTANCES = (1_000, 100_000, 1_000_000)
_IMAGES, _ROUNDS = 40, 15


def measure(arguments: argparse.Namespace) -> Sequence[Row]:
    """Stores of all sizes side by side, asked in turn; the first of each kind of figure is the small store's."""
    rows: list[Row] = []
    with TemporaryDirectory(prefix="bench-growth-") as name, ExitStack() as stack:
        folder = Path(name)
        ct = make_ct(folder / "ct", slices=20)
        header = Header.of(dcmread(ct.files[0], stop_before_pixels=True).to_json_dict())
        stores = {count: folder / f"store-{count}" for count in _INSTANCES}
        for count, store in stores.items():
            fill(store, count, header)
        rows += _compared("claim", {n: stack.enter_context(_claims(store)) for n, store in stores.items()}, arguments)
        looks = {n: stack.enter_context(_looks(store)) for n, store in stores.items()}
        rows += [replace(row, limit=None, aim=None) for row in _compared("what `status` asks", looks, arguments)]
        template = Template.of(ct.files)
        nodes = {
            count: stack.enter_context(running(folder / f"node-{count}", free_port(), rules="", store=store))
            for count, store in stores.items()
        }
        rows += _compared("`status`", {n: _verb(node) for n, node in nodes.items()}, arguments)
        rows += _compared("C-STORE", {n: _stores(node, template) for n, node in nodes.items()}, arguments)
    return rows


def _compared(what: str, ways: dict[int, Callable[[], float]], arguments: argparse.Namespace) -> list[Row]:
    found = alternating({str(count): way for count, way in ways.items()}, arguments.runs)
    few = found[str(_INSTANCES[0])]
    return [
        Row(name=f"{what} at {count:,} instances".replace(",", " "), ours=found[str(count)], theirs=few,
            peer=f"at {_INSTANCES[0]}", unit="ms", ratio=share_of(found[str(count)], few), limit=1.2, aim=1.0,
            at_most=True)
        for count in _INSTANCES[1:]
    ]  # fmt: skip


def _median_ms(ask: Callable[[], object]) -> float:
    spent = []
    for _ in range(_ROUNDS):
        begun = perf_counter()
        ask()
        spent.append(1000 * (perf_counter() - begun))
    return statistics.median(spent)


@contextmanager
def _claims(store: Path) -> Iterator[Callable[[], float]]:
    """Claims the one job that waits in a store, as often as asked."""
    with closing(Database(store / "node.db")) as db:
        jobs = Jobs(db, Files(store))
        with db.transaction():
            db.execute(
                "INSERT INTO job (study_instance_uid, changed_at, created_at, revision, rule, model,"
                " series_instance_uid, frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs,"
                " destinations, refusal, not_before) SELECT study_instance_uid, changed_at, created_at, revision, rule,"
                " model, series_instance_uid, frame_of_reference_uid, input_digest, recipe_digest, 2, 0, outputs,"
                " destinations, '', not_before FROM job ORDER BY job_id DESC LIMIT 1"
            )

        def claim() -> None:
            with db.transaction():
                assert jobs.claim("bench", timedelta(seconds=60)) is not None
                jobs.hand_back("bench", "measured", counts=False)

        yield lambda: _median_ms(claim)
        db.execute("UPDATE job SET state = 'cancelled' WHERE run = 2")


@contextmanager
def _looks(store: Path) -> Iterator[Callable[[], float]]:
    """Asks what `status` asks."""
    with closing(Database(store / "node.db")) as db:
        yield lambda: _median_ms(Story(db).backlog)


def _verb(node: Node) -> Callable[[], float]:
    def ask() -> float:
        begun = perf_counter()
        node.status()
        return 1000 * (perf_counter() - begun)

    return ask


def _stores(node: Node, template: Template) -> Callable[[], float]:
    numbers = iter(range(1 << 30))

    def store() -> float:
        return 1000 * statistics.median(send(node.port, [prepared(template, next(numbers), _IMAGES)]))

    return store


if __name__ == "__main__":
    sys.exit(main("Cost as the store grows", measure))
