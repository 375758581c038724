"""Puts the audit trail around what the processes do, where one is kept."""

from __future__ import annotations

from collections.abc import Callable

from dicomnode.config import Settings
from dicomnode.domain.network import Peer
from dicomnode.flow.audited import query as audited_query
from dicomnode.flow.audited.archive import AuditedArchive, Came, Keep
from dicomnode.flow.audited.send import audited
from dicomnode.flow.audited.trail import open_trail, this_node
from dicomnode.flow.audited.transfer import tell_interrupted
from dicomnode.flow.identity.ask import Question
from dicomnode.flow.outbox import Send
from dicomnode.flow.priors.archive import Archive
from dicomnode.store.database import Database


def record_interrupted(db: Database, settings: Settings) -> None:
    """Record what a crash left unrecorded; call before open associations are forgotten."""
    trail = open_trail(settings)
    if trail is not None:
        tell_interrupted(db, trail, this_node(settings))


def audited_send(send: Send, settings: Settings) -> Send:
    """`send`, recorded."""
    trail = open_trail(settings)
    return send if trail is None else audited(send, trail, this_node(settings))


def audited_question(question: Question, settings: Settings) -> Question:
    """`question`, recorded."""
    trail = open_trail(settings)
    return question if trail is None else audited_query.audited_question(question, trail, this_node(settings))


def audited_archive(archive: Callable[[Keep], Archive], keep: Keep, peer: Peer, settings: Settings) -> Archive:
    """The archive that hands what comes to `keep`, recorded."""
    trail = open_trail(settings)
    if trail is None:
        return archive(keep)
    came = Came(keep)
    return AuditedArchive(archive(came.keep), came, peer, trail, this_node(settings))
