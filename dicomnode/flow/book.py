"""Writes down what a study that is closed owes its rules, and what became of every rule."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.complete.policy import Abandon, Complete
from dicomnode.flow.evidence import completeness, progress
from dicomnode.flow.plan import Considered
from dicomnode.store.database import Database
from dicomnode.store.jobs import Jobs, Plan
from dicomnode.store.studies import Received


def book(
    db: Database,
    jobs: Jobs,
    received: Received,
    judgement: Complete | Abandon,
    plans: Sequence[Plan],
    considered: Sequence[Considered],
    *,
    forced: bool,
) -> list[int]:
    """The numbers of the jobs that were made; expects to be called inside `Database.transaction`."""
    uid = received.study_instance_uid
    for rule, text in considered:
        db.event(uid, "rule", rule, "considered", text)
    words = completeness(progress(received), judgement)
    return jobs.add(uid, received.revision, plans, forced=forced, received=words)
