"""The messages of PS3.15 A.5.3 that this node has to tell."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from dicomnode.audit.event import Action, Coded, Event, Outcome, Participant, Subject

_STUDY = Coded(code="110180", meaning="Study Instance UID")
_SOP_CLASS = Coded(code="110181", meaning="SOP Class UID")
_NODE = Coded(code="110182", meaning="Node ID")
_PATIENT = Coded(code="2", meaning="Patient Number", system="RFC-3881")
URI = Coded(code="12", meaning="URI", system="RFC-3881")

_APPLICATION = Coded(code="110150", meaning="Application")
_DESTINATION = Coded(code="110152", meaning="Destination Role ID")
_SOURCE = Coded(code="110153", meaning="Source Role ID")

#: Kinds of a security alert (PS3.16 CID 403) that are told here.
NODE_AUTHENTICATION = Coded(code="110126", meaning="Node Authentication")
SOFTWARE_CONFIGURATION = Coded(code="110131", meaning="Software Configuration")
RESTRICTED_FUNCTION = Coded(code="110132", meaning="Use of Restricted Function")
RECORDING_STARTED = Coded(code="110134", meaning="Audit Recording Started")

#: ParticipantObjectTypeCode and ParticipantObjectTypeCodeRole (PS3.15 A.5.1).
_PERSON, SYSTEM = 1, 2
_PATIENT_ROLE, REPORT, _RESOURCE, _SECURITY_RESOURCE = 1, 3, 4, 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Studied:
    """A study of one patient as far as a message tells of it; `sop_classes` counts instances."""

    study_instance_uid: str
    patient_id: str = field(default="", repr=False)
    accession_number: str = field(default="", repr=False)
    sop_classes: Mapping[str, int] = field(default_factory=dict)
    anonymized: bool | None = None


def this_process(aets: Sequence[str], name: str = "dicomnode", *, requestor: bool = False) -> Participant:
    """This process of the node."""
    return Participant(user_id=str(os.getpid()), name=name, aets=tuple(aets), requestor=requestor)


def other_node(aet: str, address: str, *, requestor: bool = False) -> Participant:
    """An application entity elsewhere; known by its address where it has told no AE title."""
    return Participant(user_id=aet or address, aets=(aet,) if aet else (), address=address, requestor=requestor)


def this_person() -> Participant:
    """Whoever runs a command here."""
    with suppress(OSError, KeyError):
        return Participant(user_id=getpass.getuser(), requestor=True)
    return Participant(user_id=f"uid {os.getuid()}", requestor=True)


def application(process: Participant, *, started: bool) -> Event:
    """Application Activity: a process starts or stops (PS3.15 A.5.3.1)."""
    kind = ("110120", "Application Start") if started else ("110121", "Application Stop")
    return Event(
        id=Coded(code="110100", meaning="Application Activity"),
        action=Action.EXECUTE,
        types=(Coded(code=kind[0], meaning=kind[1]),),
        participants=(_with(process, _APPLICATION),),
    )


def log_used(person: Participant, process: Participant, uri: str) -> Event:
    """Audit Log Used: somebody reads the trail (PS3.15 A.5.3.2)."""
    trail = Subject(id=uri, id_type=URI, kind=SYSTEM, role=_SECURITY_RESOURCE, name="Security Audit Log")
    return Event(
        id=Coded(code="110101", meaning="Audit Log Used"),
        action=Action.READ,
        participants=(person, process),
        subjects=(trail,),
    )


def begin_transfer(sender: Participant, receiver: Participant, study: Studied) -> Event:
    """Begin Transferring DICOM Instances: what is intended to be sent (PS3.15 A.5.3.3)."""
    return Event(
        id=Coded(code="110102", meaning="Begin Transferring DICOM Instances"),
        action=Action.EXECUTE,
        participants=(_with(sender, _SOURCE), _with(receiver, _DESTINATION)),
        subjects=_subjects(study),
    )


def transferred(
    sender: Participant, receiver: Participant, study: Studied, *, created: bool, failure: str = ""
) -> Event:
    """DICOM Instances Transferred: what was sent (PS3.15 A.5.3.7).

    Parameters
    ----------
    created
        Whether the receiver did not have them before; where that is not known, they were read.
    failure
        Why these were not; what succeeded is told by a message of its own (PS3.15 A.5.2).
    """
    return Event(
        id=Coded(code="110104", meaning="DICOM Instances Transferred"),
        action=Action.CREATE if created else Action.READ,
        outcome=Outcome.MINOR if failure else Outcome.SUCCESS,
        reason=failure,
        participants=(_with(sender, _SOURCE), _with(receiver, _DESTINATION)),
        subjects=_subjects(study),
    )


def accessed(person: Participant, study: Studied, action: Action, reason: str) -> Event:
    """DICOM Instances Accessed: somebody uses, changes or takes back what is kept (PS3.15 A.5.3.6)."""
    return Event(
        id=Coded(code="110103", meaning="DICOM Instances Accessed"),
        action=action,
        reason=reason,
        participants=(person,),
        subjects=_subjects(study),
    )


def study_deleted(who: Participant, study: Studied, reason: str = "") -> Event:
    """DICOM Study Deleted (PS3.15 A.5.3.8)."""
    return Event(
        id=Coded(code="110105", meaning="DICOM Study Deleted"),
        action=Action.DELETE,
        reason=reason,
        participants=(who,),
        subjects=_subjects(study),
    )


def query(
    asking: Participant, answering: Participant, sop_class_uid: str, keys: bytes, syntax: str, *, failure: str = ""
) -> Event:
    """Query: what was asked for, whatever was found (PS3.15 A.5.3.10).

    Parameters
    ----------
    keys
        The data set of the query, encoded in the transfer syntax `syntax`.
    """
    model = Subject(
        id=sop_class_uid,
        id_type=_SOP_CLASS,
        kind=SYSTEM,
        role=REPORT,
        query=keys,
        details={"TransferSyntax": syntax.encode()},
    )
    return Event(
        id=Coded(code="110112", meaning="Query"),
        action=Action.EXECUTE,
        outcome=Outcome.MINOR if failure else Outcome.SUCCESS,
        reason=failure,
        participants=(_with(asking, _SOURCE), _with(answering, _DESTINATION)),
        subjects=(model,),
    )


def alert(
    kind: Coded, reporting: Participant, performing: Participant | None, description: str, outcome: Outcome
) -> Event:
    """Security Alert (PS3.15 A.5.3.11).

    Parameters
    ----------
    outcome
        `MINOR` and `SERIOUS` say that what protects the node has held.
    """
    subjects: tuple[Subject, ...] = ()
    if performing is not None:
        about = Subject(
            id=performing.address or performing.user_id,
            id_type=_NODE,
            kind=SYSTEM,
            role=_SECURITY_RESOURCE,
            name=performing.user_id,
            details={"Alert Description": description.encode(errors="replace")},
        )
        subjects = (about,)
    return Event(
        id=Coded(code="110113", meaning="Security Alert"),
        action=Action.EXECUTE,
        outcome=outcome,
        reason=description,
        types=(kind,),
        participants=(reporting, *([performing] if performing is not None else [])),
        subjects=subjects,
    )


def _with(who: Participant, role: Coded) -> Participant:
    return replace(who, roles=(role,))


def _subjects(study: Studied) -> tuple[Subject, ...]:
    images = Subject(
        id=study.study_instance_uid,
        id_type=_STUDY,
        kind=SYSTEM,
        role=REPORT,
        name=study.study_instance_uid,
        accession_number=study.accession_number,
        sop_classes=study.sop_classes,
        anonymized=study.anonymized,
    )
    # The schema wants an ID of every object, so that one without Patient ID is told as that.
    patient = study.patient_id or "(no Patient ID)"
    return (images, Subject(id=patient, id_type=_PATIENT, kind=_PERSON, role=_PATIENT_ROLE, name=patient))
