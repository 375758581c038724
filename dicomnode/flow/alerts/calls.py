"""Which events of the log call for a notice, and what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from dicomnode.config.alerts import NotifyTable
from dicomnode.domain.header import Header
from dicomnode.domain.notice import Notice, Topic
from dicomnode.store.notices import Circumstances, Event

#: Entity and arrow of an event → what it is about. Jobs that are done or failed are told apart by how they ended.
_TOPICS = {
    ("delivery", "failed"): Topic.FAILED,
    ("delivery", "not kept"): Topic.FAILED,
    ("commitment", "given up"): Topic.FAILED,
    ("study", "held"): Topic.HELD,
    ("study", "flagged"): Topic.FLAGGED,
    ("job", "overdue"): Topic.OVERDUE,
}

#: `12 (chest-ct)`, as the triggers of the job table write it.
_JOB = re.compile(r"(\d+) \((.*)\)", re.DOTALL)


def notices(event: Event, table: NotifyTable, known: Circumstances) -> Iterator[Notice]:
    """What somebody is told of an event; nothing for most of them.

    Without `patient` a notice says only what this node has written by itself: what peers answered and what people
    typed may name the patient, and is looked up with `dicomnode why`.
    """
    job = _JOB.fullmatch(event.entity_id) if event.entity == "job" else None
    found = _of_job(event, int(job[1]), known) if job else _of_others(event, table, known)
    if found is None or found[0] not in table.on:
        return
    topic, text = found
    rule = job[2] if job else ""
    rules = {rule} if rule else known.rules(event.study_instance_uid)
    if table.rules and rules and not rules & set(table.rules):
        return
    if table.patient and event.study_instance_uid:
        text = f"{text}; {_patient(known.patient(event.study_instance_uid))}"
    yield Notice(
        topic=topic, happened_at=event.at, text=text, study_instance_uid=event.study_instance_uid,
        rule=rule or ", ".join(sorted(rules)),
    )  # fmt: skip


def _of_job(event: Event, job_id: int, known: Circumstances) -> tuple[Topic, str] | None:
    """Topic and text of an event of a job."""
    ending, blocked_by, urgent, is_new = known.ending(job_id)
    model = known.model(job_id)
    if event.arrow == "finished":
        return (Topic.URGENT, f"model {model} found: {urgent}") if urgent and is_new else None
    if event.arrow == "failed":
        if ending == "blocked":
            return Topic.NOT_ANALYSED, f"model {model}: not analysed, blocked by {blocked_by}"
        if ending == "unsuitable":
            return Topic.NOT_ANALYSED, f"model {model}: {event.detail}"
        return Topic.FAILED, f"model {model}: {event.detail}"
    topic = _TOPICS.get((event.entity, event.arrow))
    return None if topic is None else (topic, event.detail)


def _of_others(event: Event, table: NotifyTable, known: Circumstances) -> tuple[Topic, str] | None:
    """Topic and text of any other event."""
    topic = _TOPICS.get((event.entity, event.arrow))
    if topic is None:
        return None
    if event.entity == "delivery":
        role, _, destination = event.entity_id.rpartition(" to ")
        status = known.status(event.study_instance_uid, destination)
        answer = f" with status {status:04X}" if status else ""
        words = f": {event.detail}" if table.patient else ""
        return topic, f"{role} was not delivered to {destination}{answer}{words}"
    if event.entity == "commitment":
        return topic, f"nothing confirms that the results are kept ({event.entity_id})"
    if topic is Topic.FLAGGED:
        return topic, f"a reader complains {event.detail}" if table.patient else "a reader complains of the results"
    return topic, event.detail if table.patient else "held until an operator decides"


def _patient(header: str) -> str:
    """Who the patient is."""
    known = Header.of(json.loads(header) if header else {})
    said = [known.text(keyword) for keyword in ("PatientName", "PatientID", "PatientBirthDate")]
    return f"patient {said[0] or 'without a name'}, ID {said[1] or 'unknown'}, born {said[2] or 'unknown'}"
