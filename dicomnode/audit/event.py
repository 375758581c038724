"""An event of the audit trail with who and what took part in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum


class Outcome(IntEnum):
    """How it went (EventOutcomeIndicator, PS3.15 A.5.1)."""

    SUCCESS = 0
    MINOR = 4
    SERIOUS = 8
    MAJOR = 12


class Action(StrEnum):
    """What was done (EventActionCode, PS3.15 A.5.1)."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A code as the audit schema writes it."""

    code: str
    meaning: str
    system: str = "DCM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Who took part (ActiveParticipant).

    Attributes
    ----------
    user_id
        Of a process its number, of another node its AE title, of a person the login (PS3.15 A.5.2.1).
    name
        What people call it.
    aets
        AE titles, for AlternativeUserID (PS3.15 A.5.2.2).
    address
        IP address or host name it was reached at.
    """

    user_id: str
    name: str = ""
    aets: tuple[str, ...] = ()
    requestor: bool = False
    roles: tuple[Coded, ...] = ()
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What it was about (ParticipantObjectIdentification).

    Attributes
    ----------
    kind, role
        ParticipantObjectTypeCode and its role (PS3.15 A.5.1.2.2).
    name
        ParticipantObjectName; not used where there is a query.
    query
        The query as sent, for ParticipantObjectQuery.
    details
        Type → value, for ParticipantObjectDetail.
    sop_classes
        SOP Class UID → how many instances.
    anonymized
        None where the message does not say.
    """

    id: str = field(repr=False)
    id_type: Coded
    kind: int
    role: int
    name: str = field(default="", repr=False)
    query: bytes | None = field(default=None, repr=False)
    details: Mapping[str, bytes] = field(default_factory=dict)
    accession_number: str = field(default="", repr=False)
    sop_classes: Mapping[str, int] = field(default_factory=dict)
    anonymized: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One message of the audit trail.

    Attributes
    ----------
    at
        When it happened, where that is not when it is written.
    """

    id: Coded
    action: Action
    outcome: Outcome = Outcome.SUCCESS
    reason: str = ""
    types: tuple[Coded, ...] = ()
    participants: tuple[Participant, ...]
    subjects: tuple[Subject, ...] = ()
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who keeps the trail (AuditSourceIdentification).

    Attributes
    ----------
    site
        AuditEnterpriseSiteID; "" leaves it out.
    """

    id: str
    site: str = ""
