"""Tells the audit trail that somebody took a result with them as a file, or searched among patients."""

from __future__ import annotations

from dicomnode.audit.event import Action, Participant
from dicomnode.audit.message import accessed
from dicomnode.audit.people import searched
from dicomnode.config import Settings
from dicomnode.flow.audited.trail import open_trail, studied, this_node
from dicomnode.store.database import Database


def tell_taken(db: Database, settings: Settings, study_instance_uid: str, role: str, who: Participant) -> None:
    """Record that `who` is about to have a file that names the patient.

    Raises
    ------
    OutOfResources
        It cannot be recorded and has to be.
    """
    trail = open_trail(settings)
    if trail is not None:
        about = studied(db, study_instance_uid)
        trail.record(accessed(who, about, Action.READ, f"{role} was downloaded from the dashboard"))


def tell_search(settings: Settings, who: Participant, path: str, words: str) -> None:
    """Record that `who` is about to see several patients: at which path, and what was searched for.

    Raises
    ------
    OutOfResources
        It cannot be recorded and has to be.
    """
    trail = open_trail(settings)
    if trail is not None:
        trail.record(searched(who, this_node(settings), path, words))
