"""Reads every metric of a node at this moment: counters as they were counted, the rest as it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dicomnode.config import Settings
from dicomnode.flow.metrics.families import BUCKETS_SECONDS, BY_NAME, Family
from dicomnode.flow.metrics.fold import DELIVERY_ENDS, JOB_ENDS
from dicomnode.flow.metrics.machine import Sample, machine
from dicomnode.flow.metrics.reasons import REASONS
from dicomnode.store.counts import Counts, Key
from dicomnode.store.database import Database

#: Above the largest limit of a histogram.
_REST = "+Inf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Upper limit → how many times were no longer than that; and the sum of all, in seconds."""

    buckets: tuple[tuple[str, float], ...]
    sum_seconds: float


#: Label values and what was found.
Samples = list[tuple[tuple[str, ...], float | Histogram]]


def read(db: Database, settings: Settings) -> list[tuple[Family, Samples]]:
    """Every family that has something to tell, in the order of `FAMILIES`.

    Raises
    ------
    OutOfResources
        The database or the disk cannot be read.
    """
    found: dict[str, Samples] = defaultdict(list)
    counts = Counts(db)
    counters = counts.all()
    for name, labels, value in (
        *_counted(counters, settings),
        *_queues(counts, db),
        *_peers(counts, settings),
        *_messages(counts, db, settings),
        *machine(counts, db, settings),
    ):
        found[name].append((labels, value))
    for name, samples in _histograms(counters).items():
        found[name] += samples
    return [(family, found[name]) for name, family in BY_NAME.items() if name in found]


def _counted(counters: Mapping[Key, float], settings: Settings) -> Iterator[Sample]:
    for (name, labels), value in counters.items():
        family = BY_NAME.get(name)
        if family is not None and family.kind != "histogram":
            yield name, labels, value
    for key in _never(settings):
        if key not in counters:
            yield *key, 0.0


def _never(settings: Settings) -> Iterator[Key]:
    """What is told as 0 where it has never happened: an alert sees the first time only where there was a 0 before."""
    yield "dicomnode_deadlines_missed_total", ()
    yield from (("dicomnode_retries_total", (kind,)) for kind in ("job", "delivery"))
    yield from (("dicomnode_not_analysed_total", (reason,)) for reason in REASONS)
    for peer in settings.peers:
        yield "dicomnode_instances_received_total", (peer.name,)
        yield "dicomnode_received_bytes_total", (peer.name,)
        yield from (("dicomnode_deliveries_total", (peer.name, end)) for end in DELIVERY_ENDS)
    for model in {rule.model for rule in settings.rules}:
        yield from (("dicomnode_jobs_total", (model, end)) for end in JOB_ENDS)


def _histograms(counters: Mapping[Key, float]) -> dict[str, Samples]:
    raw: dict[tuple[str, tuple[str, ...]], dict[str, float]] = defaultdict(dict)
    for (name, labels), value in counters.items():
        family = BY_NAME.get(name)
        if family is not None and family.kind == "histogram":
            raw[name, labels[:-1]][labels[-1]] = value
    found: dict[str, Samples] = defaultdict(list)
    for (name, labels), own in raw.items():
        total, buckets = 0.0, []
        for limit in (*(f"{one}" for one in BUCKETS_SECONDS), _REST):
            total += own.get(limit, 0.0)
            buckets.append((limit, total))
        found[name].append((labels, Histogram(buckets=tuple(buckets), sum_seconds=own.get("sum", 0.0))))
    return found


def _queues(counts: Counts, db: Database) -> Iterator[Sample]:
    now = db.clock()
    for queue in counts.queues():
        labels = (queue.name,) if queue.name else ()
        oldest = max(0.0, (now - queue.since).total_seconds()) if queue.since else 0.0
        if queue.kind == "studies":
            yield "dicomnode_receiving_studies", (), queue.waiting
            yield "dicomnode_receiving_oldest_seconds", (), oldest
            continue
        for state in ("waiting", "running", "failed"):
            yield f"dicomnode_{queue.kind}", (*labels, state), getattr(queue, state)
        yield f"dicomnode_{queue.kind}_oldest_seconds", labels, oldest
    yield "dicomnode_held_studies", (), counts.held()
    yield "dicomnode_associations_open", (), counts.associations()


def _messages(counts: Counts, db: Database, settings: Settings) -> Iterator[Sample]:
    now, since = db.clock(), counts.messages()
    for table in settings.notify:
        age = max(0.0, (now - since[table.name]).total_seconds()) if table.name in since else 0.0
        yield "dicomnode_messages_oldest_seconds", (table.name,), age


def _peers(counts: Counts, settings: Settings) -> Iterator[Sample]:
    names = [peer.name for peer in settings.peers]
    for peer, number in counts.commitments(names).items():
        yield "dicomnode_commitments_outstanding", (peer,), number
    for peer, number in counts.pledges(names).items():
        yield "dicomnode_pledges_outstanding", (peer,), number
    away = counts.away()
    for name in names:
        yield "dicomnode_peer_backing_off", (name,), float(name in away)
