"""Counters outlast what they count, and sums are those of the rows."""

from __future__ import annotations

import re

import pytest

from dicomnode.store.counts import Counts
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.studies import Standing, Studies
from tests.conftest import Hands, MakeArrival


@pytest.fixture
def counts(db: Database) -> Counts:
    return Counts(db)


def kept_bytes(counts: Counts) -> float:
    return counts.all()["dicomnode_store_bytes", ("objects",)]


def test_the_bytes_of_the_store_follow_what_comes_goes_and_comes_back(
    db: Database, files: Files, counts: Counts, make_arrival: MakeArrival
) -> None:
    studies = Studies(db, files)
    first, second = make_arrival(1), make_arrival(2, content="longer than the other")
    for one in (first, second):
        with db.transaction():
            studies.add(one, f"studies/{one.sop_instance_uid}", Standing.CURRENT)
    assert kept_bytes(counts) == first.size_bytes + second.size_bytes
    db.execute("UPDATE instance SET purged_at = ?, standing = 'replaced' WHERE digest = ?", db.now(), first.digest)
    assert kept_bytes(counts) == second.size_bytes
    with db.transaction():
        studies.add(first, "studies/again", Standing.CURRENT)
    assert kept_bytes(counts) == first.size_bytes + second.size_bytes
    db.execute("DELETE FROM instance")
    assert kept_bytes(counts) == 0


def test_a_queue_tells_how_long_its_oldest_waits(
    db: Database, files: Files, counts: Counts, make_arrival: MakeArrival, clock: Hands
) -> None:
    with db.transaction():
        Studies(db, files).add(make_arrival(1), "studies/1", Standing.CURRENT)
    began = clock()
    clock.forward(90)
    with db.transaction():
        Studies(db, files).add(make_arrival(2, study="1.2.4"), "studies/2", Standing.CURRENT)
    queues = {one.kind: one for one in counts.queues()}
    assert queues["studies"].waiting == 2 and queues["studies"].since == began
    assert queues["jobs"].waiting == 0 and queues["jobs"].since is None


def test_no_question_of_a_scrape_reads_a_whole_table_of_objects_or_events(db: Database, counts: Counts) -> None:
    asked: list[str] = []
    db._connection.set_trace_callback(asked.append)
    counts.queues(), counts.held(), counts.associations(), counts.commitments(["PACS"]), counts.pledges(["PACS"])
    counts.all(), counts.uncounted(200)
    db._connection.set_trace_callback(None)
    plans = {sql: [row["detail"] for row in db.rows(f"EXPLAIN QUERY PLAN {sql}")] for sql in asked}
    scans = {sql: plan for sql, plan in plans.items() if any(
        one.startswith("SCAN") and not re.match("SCAN (association|counter|counted)\\b|.* held_study$", one)
        for one in plan
    )}  # fmt: skip
    assert len(plans) >= 8 and scans == {}
