"""Reads the audit trail for people and scripts; that it was read is in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from dicomnode.audit.chain import Link
from dicomnode.audit.cursor import Cursor
from dicomnode.audit.message import log_used, this_person
from dicomnode.audit.verify import verify
from dicomnode.config import Settings
from dicomnode.config.audit import folder_of
from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.audited.trail import open_trail, this_node


def verified(settings: Settings, first: int) -> dict[str, Any]:
    """Whether the trail is as it was written; see `audit.verify.Verdict`.

    Raises
    ------
    DicomNodeError
        There is none, or it cannot be read.
    """
    folder = _folder(settings)
    try:
        return asdict(verify(folder, first))
    except OSError as error:
        raise DicomNodeError(f"{folder}: {error.strerror or error}") from error


def shown(settings: Settings, last: int, study: str) -> list[dict[str, Any]]:
    """The last lines, each with event, outcome, participants and objects; recorded as Audit Log Used.

    Raises
    ------
    DicomNodeError
        There is none, it cannot be read, or the reading cannot be recorded and has to be.
    """
    folder = _folder(settings)
    trail = open_trail(settings)
    if trail is not None:
        trail.record(log_used(this_person(), this_node(settings), folder.as_uri()))
    kept: deque[dict[str, Any]] = deque(maxlen=last)
    try:
        for line in _lines(folder):
            # Most lines are about something else, which is seen without parsing them.
            if study.encode() in line.message:
                told = _told(line)
                if not study or study in told["objects"]:
                    kept.append(told)
    except OSError as error:
        raise DicomNodeError(f"{folder}: {error.strerror or error}") from error
    return list(kept)


def _folder(settings: Settings) -> Path:
    folder = folder_of(settings)
    if not folder.is_dir():
        raise DicomNodeError(f"{folder}: no audit trail is there")
    return folder


def _lines(folder: Path) -> Iterator[Link]:
    cursor = Cursor(folder)
    while (line := cursor.next()) is not None:
        yield line


def _told(line: Link) -> dict[str, Any]:
    told: dict[str, Any] = {"sequence": line.sequence, "at": line.at, "event": "", "outcome": "", "reason": ""}
    try:
        # Entities, which could be made to grow without bound, need a document type, and no message of ours has one.
        if b"<!DOCTYPE" in line.message:
            raise ElementTree.ParseError
        root = ElementTree.fromstring(line.message)  # noqa: S314
    except ElementTree.ParseError:
        return {**told, "event": "not XML", "participants": "", "objects": []}
    event = root.find("EventIdentification")
    if event is not None:
        names = [one.get("originalText", "") for one in (*event.findall("EventID"), *event.findall("EventTypeCode"))]
        told |= {
            "event": ": ".join(names),
            "outcome": "success" if event.get("EventOutcomeIndicator") == "0" else "failure",
            "reason": event.findtext("EventOutcomeDescription", ""),
        }
    told["participants"] = " → ".join(_name(one) for one in root.findall("ActiveParticipant"))
    objects = root.findall("ParticipantObjectIdentification")
    return {**told, "objects": [one.get("ParticipantObjectID", "") for one in objects]}


def _name(participant: ElementTree.Element) -> str:
    name = participant.get("UserName", "") or participant.get("UserID", "")
    address = participant.get("NetworkAccessPointID", "")
    return f"{name}@{address}" if address and address != name else name
