"""Removals of files as the audit trail sees them: noted with the removal, told when the trail takes it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from dicomnode.audit.event import Event, Participant
from dicomnode.audit.message import study_deleted
from dicomnode.config import Settings
from dicomnode.domain.errors import OutOfResources
from dicomnode.flow.audited.trail import open_trail, studied, this_node
from dicomnode.store.database import Database
from dicomnode.store.untold import Untold, UntoldRemoval


def tell_removals(db: Database, settings: Settings) -> None:
    """Tell the trail of what was removed and not told yet; what it cannot take stays noted for the next time.

    Never raises: on a full disk it is the removal that lets the trail be written again. A kill between the message
    and the note of it, or another process that tells at the same moment, doubles a message; none is left out.
    """
    trail, rows = open_trail(settings), Untold(db)
    with suppress(OutOfResources):
        while removals := rows.next():
            events = [_deleted(db, settings, one) for one in removals]
            if trail is not None and not trail.record(*events, kept=True):
                break
            with db.transaction():
                rows.strike_off(removals)


def _deleted(db: Database, settings: Settings, removal: UntoldRemoval) -> Event:
    who = Participant(user_id=removal.login, requestor=True) if removal.login else this_node(settings)
    event = study_deleted(who, studied(db, removal.study_instance_uid), removal.reason)
    return replace(event, at=removal.removed_at)
