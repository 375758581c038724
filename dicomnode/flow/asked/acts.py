"""What an operator does, as the verbs do it, under the name of whoever asks for it."""

from __future__ import annotations

import time
from typing import Protocol

from dicomnode.audit.event import Participant
from dicomnode.config import Settings
from dicomnode.deliver import dimse
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.network import Peer
from dicomnode.flow import operate
from dicomnode.flow.audited.trail import tell_act
from dicomnode.flow.flag import flag
from dicomnode.flow.models import switch
from dicomnode.flow.retract import retract
from dicomnode.store.again import Again
from dicomnode.store.database import Database
from dicomnode.store.echoes import Echo, Echoes
from dicomnode.store.files import Files

#: A person waits for the answer; what is slower than this is as good as away.
_ECHO_SECONDS = 5.0


class EchoPeer(Protocol):
    """Asks a peer for C-ECHO; the seconds until it answers."""

    def __call__(self, peer: Peer, *, calling_aet: str, timeouts: dimse.Timeouts) -> float: ...


class Acts:
    """What `who` may ask for; every method says in words what was done.

    All raise `DicomNodeError` where it cannot be done, or cannot be recorded and has to be (`OutOfResources`).
    """

    def __init__(
        self, db: Database, files: Files, settings: Settings, who: Participant, echo: EchoPeer = dimse.echo
    ) -> None:
        self._db, self._files, self._settings, self._who, self._echo = db, files, settings, who, echo

    def retry(self, study: str) -> str:
        """Run failed jobs of a study again, send its failed deliveries again, and end a hold."""
        self._tell(study, "retry: what failed is tried again, a hold ends")
        return operate.retry(self._db, self._files, study)

    def rerun(self, study: str, of_what_is_here: str = "") -> str:
        """Analyse a study again under new UIDs; see `operate.rerun`."""
        self._tell(study, "rerun: analysed again")
        return operate.rerun(self._db, self._files, study, of_what_is_here.strip())

    def cancel(self, study: str) -> str:
        """Cancel what still waits for a study."""
        self._tell(study, "cancel: what waits is dropped")
        return operate.cancel(self._db, self._files, study)

    def retract(self, study: str, reason: str, code: str) -> str:
        """Take back every result of a study that was sent; see `retract.retract`."""
        self._tell(study, f"retract: {reason}")
        return retract(self._db, self._files, self._settings, study, reason, code)

    def flag(self, study: str, reason: str) -> str:
        """Take down what is wrong with the results of a study."""
        self._tell(study, f"flag: {reason}")
        return flag(self._db, study, reason, self._who.user_id)

    def resend(self, delivery_id: int) -> str:
        """Send one result to one destination again, with the bytes that it had."""
        study = Again(self._db).study_of(delivery_id)
        self._tell(study, "resend: one result is sent again")
        with self._db.transaction():
            sent = Again(self._db).send(delivery_id, f"sent again for {self._who.user_id}")
        return f"study {study}: {sent} waits again"

    def disable(self, model: str, reason: str) -> str:
        """Hold the jobs of a model at once."""
        if not reason.strip():
            raise DicomNodeError("reason: found none, needed one for those whose studies wait")
        return switch.disable(self._db, self._settings, model, f"{reason.strip()} ({self._who.user_id})", self._who)

    def enable(self, model: str) -> str:
        """Let the jobs of a disabled model run again."""
        return switch.enable(self._db, self._settings, model, self._who)

    def echo(self, peer: Peer) -> Echo:
        """Ask a peer for C-ECHO now, and write down how it answered."""
        timeouts = dimse.Timeouts(connect_seconds=_ECHO_SECONDS, dimse_seconds=_ECHO_SECONDS)
        began, failure = time.monotonic(), ""
        try:
            self._echo(peer, calling_aet=self._settings.node.aet, timeouts=timeouts)
        except DicomNodeError as error:
            failure = str(error)
        with self._db.transaction():
            return Echoes(self._db).write(peer.name, time.monotonic() - began, failure)

    def _tell(self, study: str, what: str) -> None:
        tell_act(self._db, self._settings, study, what, self._who)
