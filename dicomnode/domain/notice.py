"""What people are told of without asking: topics, notices, and the messages that carry them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Topic(StrEnum):
    """What a notice is about; the names are those of `on` in the configuration."""

    URGENT = "urgent"
    FAILED = "failed"
    NOT_ANALYSED = "not_analysed"
    HELD = "held"
    FLAGGED = "flagged"
    OVERDUE = "overdue"
    DISK = "disk"
    CERTIFICATE = "certificate"
    PEER = "peer"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that somebody is told of.

    Attributes
    ----------
    study_instance_uid, rule
        What it concerns; empty where it is the node.
    text
        In words; without anything about the patient, unless whoever is told may have that.
    """

    topic: Topic
    happened_at: datetime
    text: str = field(repr=False)
    study_instance_uid: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Notices that go out together.

    Attributes
    ----------
    message_id
        The same at every attempt: a receiver that knows it already may drop the message.
    notices
        The first of them; `counts` has how many there are of each topic.
    attempts
        How often it was tried in vain.
    refused
        Whether its receiver answered the last time, and did not take it.
    """

    message_id: str
    notify: str
    made_at: datetime
    notices: tuple[Notice, ...]
    counts: dict[Topic, int]
    attempts: int = 0
    refused: bool = False
