"""A done job with objects in several forms, owed to one peer, and a sender that answers as told."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import timedelta
from typing import Any

from dicomnode.config import parse
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Delivery, Job, Receipt
from dicomnode.flow.choice import Choice
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs, Made, Plan

PEER = {"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": 104, "accept_research": True}
SEG, THREE_D = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"
SC = "1.2.840.10008.5.1.4.1.1.7"

#: (role, kind, what it refers to, SOP class)
MADE = (
    ("seg", "seg", "", SEG),
    ("sr", "sr", "seg", THREE_D),
    ("sr-without-seg", "sr", "", THREE_D),
    ("picture-1", "picture", "", SC),
)


class Answers:
    """Sends nothing, and answers 0000 to everything but what it was told otherwise."""

    def __init__(self) -> None:
        self.offered: list[str] = []
        self.answers: dict[str, int] = {}
        self.dies_after = ""

    def send(self, _peer: Peer, batch: Sequence[Delivery]) -> Generator[Receipt]:
        for one in batch:
            uid = one.sop_instance_uid
            self.offered.append(uid)
            if uid == self.dies_after:
                raise KeyboardInterrupt
            status = self.answers.get(uid, 0)
            yield Receipt(
                sop_instance_uid=uid, status=status, stored=status == 0, final=status != 0, text=f"{status:04X}"
            )


def owe(db: Database, files: Files, study: str = "1", **peer: Any) -> Job:
    """A done job on a settled study whose objects are owed to PACS; of the study `1` they are named `9.<role>`."""
    jobs = Jobs(db, files)
    with db.transaction():
        db.execute(
            "INSERT INTO study (study_instance_uid, state, changed_at, calling_aet, called_aet, address, peer,"
            " first_arrival_at, last_arrival_at) VALUES (?, 'settled', '', '', '', '', '', '', '')",
            study,
        )
        plan = Plan(
            rule="r", model="m", series_instance_uid="1", frame_of_reference_uid="", inputs={}, input_digest="i",
            recipe_digest="r", priority=0, outputs=("seg", "sr", "picture"), destinations=("PACS",),
        )  # fmt: skip
        jobs.add(study, 1, [plan], forced=False)
        job = jobs.claim("work-1", timedelta(seconds=60))
        assert job is not None
        prefix = "9" if study == "1" else f"9.{study}"
        made = [
            Made(
                role=role, kind=kind, refers_to=refers_to, sop_class_uid=sop_class, sop_instance_uid=f"{prefix}.{role}",
                series_instance_uid="9", transfer_syntax_uid="1.2.840.10008.1.2.1", digest="d", size_bytes=1, path=role,
            )
            for role, kind, refers_to, sop_class in MADE
        ]  # fmt: skip
        jobs.finish(job, made, "")
        Choice(db, files).owe(job.job_id, "PACS", parse({"peer": [{**PEER, **peer}]}).peer("PACS"))
    return job


def states(db: Database) -> dict[str, str]:
    """Role → state of its delivery, in the order in which they were owed."""
    rows = db.rows("SELECT role, state FROM delivery JOIN result USING (result_id) ORDER BY delivery_id")
    return {row["role"]: row["state"] for row in rows}
