"""Asks an archive, before results that have waited go there, whether their study is still whose it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import structlog
from pydicom import dcmread

from dicomnode.config import Settings
from dicomnode.deliver.association import Timeouts, conversation
from dicomnode.domain.errors import DeliveryError, PeerUnreachable
from dicomnode.domain.identity import KEYWORDS, StudyIdentity
from dicomnode.domain.network import Peer, PeerRole
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.identity.change import Change
from dicomnode.infer.read.faults import READ_FAULTS
from dicomnode.query import identity
from dicomnode.query.talk import missing
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.identity import Outdated, Waiting

_log = structlog.get_logger(__name__)

#: Asks a peer what it says of a study; one that takes no queries is no error: None.
Question = Callable[[Peer, str], Sequence[StudyIdentity] | None]

_NO_QUERIES = "accepts no C-FIND (Study Root), so results go there unasked"


def is_asked(settings: Settings, peer: Peer) -> bool:
    """Whether a peer is asked at all: not one that has objects under other UIDs."""
    archive = peer.role is PeerRole.ARCHIVE and peer.deidentify is None
    return archive and peer.speaks_dimse and peer.identity and settings.deliver.ask_after_seconds > 0


def questioner(settings: Settings) -> Question:
    """What asks over the network, under this node's AE title."""
    timeouts = Timeouts(
        connect_seconds=settings.deliver.connect_timeout_seconds,
        dimse_seconds=settings.deliver.response_timeout_seconds,
    )

    def ask(peer: Peer, study_instance_uid: str) -> Sequence[StudyIdentity] | None:
        contexts = identity.contexts()
        with conversation(peer, contexts, calling_aet=settings.node.aet, timeouts=timeouts) as talk:
            if missing(talk, {"C-FIND": contexts[0]}):
                return None
            return identity.identities(talk, study_instance_uid)

    return ask


class Identity:
    """Lets results go to an archive, or has them made again as the archive says. One object for each thread."""

    def __init__(self, db: Database, files: Files, settings: Settings, question: Question) -> None:
        self._db = db
        self._settings = settings
        self._question = question
        self._outdated = Outdated(db, files)
        self._change = Change(db, files)
        self._without_queries: set[str] = set()

    def agreed(self, job_id: int, peer: Peer) -> bool:
        """Whether what a job owes a peer may go there now; if not, it waits no longer.

        Raises
        ------
        PeerUnreachable
            It gives no answer, so that nothing could be sent either.
        """
        waiting = self._outdated.waiting(job_id, peer.name)
        if waiting is None or not self._is_due(waiting, peer):
            return True
        built = _told_by(waiting.path)
        if built is None:
            return True  # the sending meets the same fault, and there it ends in a verdict
        found = self._asked(waiting.study_instance_uid, peer)
        if not found or any(not built.deviations(one) for one in found):
            return True
        failpoint("identity.before_commit")
        agreed = self._change.weigh(job_id, peer.name, built, found)
        failpoint("identity.after_commit")
        return agreed

    def _is_due(self, waiting: Waiting, peer: Peer) -> bool:
        limit = timedelta(seconds=self._settings.deliver.ask_after_seconds)
        return is_asked(self._settings, peer) and self._db.clock() - waiting.made_at > limit

    def _asked(self, study_instance_uid: str, peer: Peer) -> Sequence[StudyIdentity]:
        """What a peer says of a study; nothing where it does not know the study, or takes no queries."""
        found: Sequence[StudyIdentity] | None = None
        arrow, reason = "not asked", _NO_QUERIES
        if peer.name not in self._without_queries:
            try:
                found = self._question(peer, study_instance_uid)
            except PeerUnreachable:
                raise
            except DeliveryError as error:
                reason = str(error)
            else:
                if found is None:
                    self._without_queries.add(peer.name)
        if found:
            return found
        if found is not None:
            arrow, reason = "not known there", "it does not have the study, and gets the results as they are"
        _log.info("identity not compared", destination=peer.name, study_instance_uid=study_instance_uid, reason=reason)
        with self._db.transaction():
            self._outdated.tell_once(study_instance_uid, peer.name, arrow, reason)
        return ()


def _told_by(path: Path) -> StudyIdentity | None:
    """Whom a result was made for; None where its file cannot be read."""
    try:
        return StudyIdentity.of_dataset(dcmread(path, stop_before_pixels=True, specific_tags=list(KEYWORDS)))
    except READ_FAULTS:
        return None
