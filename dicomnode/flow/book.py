"""Writes down what a study that is closed owes its rules, and what became of every rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dicomnode.complete.policy import Abandon, Complete
from dicomnode.flow.evidence import completeness, progress
from dicomnode.flow.plan import Considered
from dicomnode.flow.retention.returned import lacking
from dicomnode.store.database import Database
from dicomnode.store.jobs import Jobs, Plan
from dicomnode.store.retractions import stayed
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
    """The numbers of the jobs that were made; expects to be called inside `Database.transaction`.

    What an operator took back is analysed again only if somebody asks for it; until then its readers are told so.
    """
    uid = received.study_instance_uid
    for rule, text in considered:
        db.event(uid, "rule", rule, "considered", text)
    words = completeness(progress(received), judgement) + lacking(db, uid)
    if not forced:
        plans = [_stayed(db, uid, plan) for plan in plans]
    return jobs.add(uid, received.revision, plans, forced=forced, received=words)


def _stayed(db: Database, study_instance_uid: str, plan: Plan) -> Plan:
    why = stayed(db, study_instance_uid, plan)
    if not why or plan.refusal:
        return plan
    text = f"an operator took the results of this study back ({why}), and nobody has asked for new ones"
    db.event(study_instance_uid, "rule", plan.rule, "considered", f"{text}; `dicomnode rerun` does")
    return replace(plan, refusal=text, wish=None, priors=())
