"""Where the time of a study went: one line for each thing that happened to it, counted from its last instance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dicomnode.domain.clock import from_text
from dicomnode.flow.shown.times import stages
from dicomnode.store.story import Arrivals, Line

_ENDS = ("finished", "failed", "retried", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that took time.

    Attributes
    ----------
    since_last_instance_seconds
        When it was over, counted from the arrival of the study's last instance.
    detail
        What ended it, as the story has it.
    """

    what: str
    since_last_instance_seconds: float
    seconds: float
    detail: str = ""


def spans(lines: Sequence[Line], arrivals: Arrivals | None) -> list[Span]:
    """What took time, in the order in which it was over.

    Parameters
    ----------
    lines
        The study's story, oldest first.
    """
    if arrivals is None:
        return []
    last = from_text(arrivals.last_at)
    found = [
        Span(what="instances arriving", since_last_instance_seconds=0.0, detail=f"{arrivals.instances} instances",
             seconds=(last - from_text(arrivals.first_at)).total_seconds()),
        *_settling(lines, last),
        *_jobs(lines, last),
        *_deliveries(lines, last),
    ]  # fmt: skip
    return sorted(found, key=lambda span: span.since_last_instance_seconds)


def _span(what: str, begun: datetime, ended: datetime, last: datetime, detail: str = "") -> Span:
    since = (ended - last).total_seconds()
    return Span(
        what=what, since_last_instance_seconds=since, seconds=max(0.0, (ended - begun).total_seconds()), detail=detail
    )


def _settling(lines: Sequence[Line], last: datetime) -> Iterator[Span]:
    """How long each revision waited for more; the last one since its last instance."""
    begun = last
    for line in lines:
        if line.entity != "study":
            continue
        at = from_text(line.at)
        if line.arrow in ("opened", "reopened"):
            begun = at
        elif line.arrow in ("settled", "abandoned"):
            waited = max(begun, last) if at >= last else begun
            yield _span(f"study {line.arrow}, {line.entity_id}", waited, at, last, line.detail)


def _jobs(lines: Sequence[Line], last: datetime) -> Iterator[Span]:
    """The wait of each job, its stages one after the other, and what it took to keep what it made."""
    since: dict[str, datetime] = {}
    for line in lines:
        if line.entity != "job":
            continue
        name, at = f"job {line.entity_id}", from_text(line.at)
        if line.arrow == "claimed":
            yield _span(f"{name}: queued", since.get(name, at), at, last)
        elif line.arrow in _ENDS and name in since:
            told = stages(line.detail) if line.arrow == "finished" else []
            begun = since[name]
            for stage in told:
                ended = begun + timedelta(seconds=stage.seconds)
                yield _span(f"{name}: {stage.name}", begun, ended, last)
                begun = ended
            # What was left out stands after the stages.
            detail = line.detail.partition("; ")[2] if told else line.detail
            yield _span(f"{name}: {'keep and commit' if told else line.arrow}", begun, at, last, detail)
        since[name] = at


def _deliveries(lines: Sequence[Line], last: datetime) -> Iterator[Span]:
    """The wait of what each job owes a destination, then each object until it was answered, as they go one by one."""
    made = last
    since: dict[str, datetime] = {}
    free: dict[str, datetime] = {}
    for line in lines:
        at = from_text(line.at)
        if line.entity == "job" and line.arrow in _ENDS:
            made = at
        if line.entity != "delivery":
            continue
        destination = line.entity_id.rpartition(" to ")[2]
        if line.arrow == "claimed":
            if free.get(destination) != at:
                yield _span(f"results for {destination}: waiting to be sent", since.get(line.entity_id, made), at, last)
            free[destination] = at
        elif line.arrow in _ENDS and destination in free:
            what = "acknowledged" if line.arrow == "finished" else line.arrow
            yield _span(f"{line.entity_id}: {what}", free[destination], at, last, line.detail)
            free[destination] = at
        since[line.entity_id] = at
