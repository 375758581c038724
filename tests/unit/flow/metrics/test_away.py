"""The shipped alerts on an archive that is away fire, however often it is tried, and end when it answers."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from dicomnode.config import Settings, parse
from dicomnode.domain.errors import NoAssociation
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.metrics.reading import _peers, _queues
from dicomnode.flow.outbox import Outbox
from dicomnode.store.counts import Counts
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.owing import PEER, owe

ALERTS = Path(__file__).resolve().parents[4] / "config" / "prometheus-alerts.yml"

#: As Prometheus asks by default, and how long a connection to a machine that is gone takes to fail.
SCRAPE_SECONDS, CONNECT_SECONDS = 15, 10

_UNITS = {"m": 60, "h": 3600}


def samples(db: Database, settings: Settings) -> dict[str, float]:
    counts = Counts(db)
    found = (*_queues(counts, db), *_peers(counts, settings))
    return {name: value for name, labels, value in found if labels == ("PACS",)}


def fires(alert: str, series: Sequence[tuple[float, dict[str, float]]]) -> bool:
    """Whether an alert of the form `metric > limit` for some time fires on (seconds, samples)."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    (rule,) = (one for one in group["rules"] if one["alert"] == alert)
    form = re.fullmatch(r"(\w+) (==|>) ([\d.]+)", rule["expr"])
    assert form is not None
    name, compare, limit = form[1], form[2], float(form[3])
    lasts = int(rule["for"][:-1]) * _UNITS[rule["for"][-1]]
    since: float | None = None
    for at, found in series:
        value = found.get(name, 0.0)
        holds = value == limit if compare == "==" else value > limit
        since = None if not holds else at if since is None else since
        if since is not None and at - since >= lasts:
            return True
    return False


def _no_connection() -> Generator[Receipt]:
    raise NoAssociation("no TCP connection: none within 10 s")


def test_an_archive_that_is_away_for_hours_is_told_by_both_alerts(db: Database, files: Files, clock: Hands) -> None:
    settings = parse({"peer": [PEER]})
    owe(db, files)
    begin = clock()
    series: list[tuple[float, dict[str, float]]] = []
    tries: list[int] = []

    def look() -> None:
        series.append(((clock() - begin).total_seconds(), samples(db, settings)))

    def away(_peer: Peer, _batch: Sequence[Delivery]) -> Generator[Receipt]:
        clock.forward(CONNECT_SECONDS)
        tries.append(1)
        look()
        yield from _no_connection()

    outbox = Outbox(db, files, settings, away, "deliver-1")
    while (clock() - begin).total_seconds() < 2 * 3600:
        outbox.run_once("PACS")
        look()
        clock.forward(SCRAPE_SECONDS)
    assert len(tries) > 10
    assert fires("DicomnodePeerAway", series) and fires("DicomnodeDeliveriesOld", series)
    assert series[-1][1]["dicomnode_deliveries_oldest_seconds"] >= 2 * 3600 - SCRAPE_SECONDS - CONNECT_SECONDS
    with db.transaction():
        db.execute("UPDATE delivery SET state = 'running', changed_at = ? WHERE state = 'waiting'", db.now())
        db.execute("UPDATE delivery SET state = 'done', changed_at = ?", db.now())
        db.execute("DELETE FROM backoff")
    after = samples(db, settings)
    assert after["dicomnode_peer_backing_off"] == 0 and after.get("dicomnode_deliveries_oldest_seconds", 0) == 0


def test_what_an_operator_has_tried_again_waits_from_then_on(db: Database, files: Files, clock: Hands) -> None:
    settings = parse({"peer": [PEER]})
    owe(db, files)
    with db.transaction():
        for state in ("running", "failed"):
            db.execute("UPDATE delivery SET state = ?, changed_at = ?", state, db.now())
    clock.forward(7 * 86400)
    with db.transaction():
        db.execute("UPDATE delivery SET state = 'waiting', changed_at = ?", db.now())
    clock.forward(60)
    assert samples(db, settings)["dicomnode_deliveries_oldest_seconds"] == 60


def test_a_job_that_is_tried_again_after_a_week_has_not_waited_a_week(db: Database, files: Files, clock: Hands) -> None:
    owe(db, files)
    with db.transaction():
        job = db.insert(
            "INSERT INTO job (study_instance_uid, changed_at, created_at, revision, rule, model, series_instance_uid,"
            " frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs, destinations, refusal,"
            " not_before) SELECT study_instance_uid, ?, ?, 1, 'other', 'm', '', '', 'x', 'x', 1, 0, '[]', '[]', '', ''"
            " FROM study",
            db.now(), db.now(),
        )  # fmt: skip

    def state(name: str) -> None:
        with db.transaction():
            db.execute("UPDATE job SET state = ?, changed_at = ? WHERE job_id = ?", name, db.now(), job)

    def waited_seconds() -> float:
        (queue,) = (one for one in Counts(db).queues() if one.kind == "jobs")
        assert queue.since is not None
        return (clock() - queue.since).total_seconds()

    clock.forward(100)
    state("running")
    state("waiting")
    assert waited_seconds() == 100, "an attempt ends no waiting"
    state("running")
    state("failed")
    clock.forward(7 * 86400)
    state("waiting")
    clock.forward(60)
    assert waited_seconds() == 60
