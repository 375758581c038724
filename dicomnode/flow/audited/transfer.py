"""What an association brought, as messages of the audit trail."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from dicomnode.audit.event import Event, Participant
from dicomnode.audit.file import Trail
from dicomnode.audit.message import Studied, other_node, transferred
from dicomnode.domain.errors import OutOfResources
from dicomnode.domain.network import Association
from dicomnode.domain.study import Arrival
from dicomnode.store.database import Database
from dicomnode.store.identities import Identities

_INTERRUPTED = "the node ended during the association; what it had acknowledged by then is kept, and was not counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What goes into one message: it tells of one patient, and of success or failure (PS3.15 A.5.2, A.5.3.7)."""

    study_instance_uid: str
    patient_id: str = field(repr=False)
    accession_number: str = field(repr=False)
    failure: str = ""


def brought_by(arrival: Arrival, failure: str = "") -> Brought:
    """What an object is counted under."""
    return Brought(
        study_instance_uid=arrival.study_instance_uid,
        patient_id=str(arrival.header.first("PatientID", "")),
        accession_number=str(arrival.header.first("AccessionNumber", "")),
        failure=failure,
    )


def told_of(sender: Participant, here: Participant, brought: Brought, counts: Counter[str]) -> Event:
    """The message; `counts` is instances by SOP class."""
    study = Studied(
        study_instance_uid=brought.study_instance_uid,
        patient_id=brought.patient_id,
        accession_number=brought.accession_number,
        sop_classes=dict(counts),
    )
    return transferred(sender, here, study, created=True, failure=brought.failure)


def tell_interrupted(db: Database, trail: Trail, here: Participant) -> None:
    """Tell of associations that were open when the node ended; call before they are forgotten."""
    identities = Identities(db)
    events = []
    for association, uid in identities.interrupted():
        patient_id, accession_number = identities.of(uid)
        brought = Brought(
            study_instance_uid=uid, patient_id=patient_id, accession_number=accession_number, failure=_INTERRUPTED
        )
        events.append(told_of(caller_of(association), here, brought, Counter()))
    with suppress(OutOfResources):
        trail.record(*events)


def caller_of(association: Association) -> Participant:
    """Who has opened it."""
    return other_node(association.calling_aet, association.address, requestor=True)
