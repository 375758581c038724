"""Loop 1, intake: an object is on the disk and in the books before its sender hears Success."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import structlog

from dicomnode.domain.errors import OutOfResources
from dicomnode.domain.network import Association
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Arrival
from dicomnode.flow.again import meaning, same_content
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.pressure import Pressure, Room, require_file
from dicomnode.flow.priors.scratch import ScratchArea
from dicomnode.flow.round_trip.ticket import stray
from dicomnode.flow.sameness import IDENTITY, counted_keywords
from dicomnode.store.counts import Counts
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.identity import Corrections
from dicomnode.store.jobs import Jobs
from dicomnode.store.studies import Standing, Studies

_log = structlog.get_logger(__name__)


class Intake:
    """What the listener does with an arrival. Thread-safe: every association calls from its own thread.

    Parameters
    ----------
    rules
        Their attributes count when an object comes again with other content.
    scratch
        Takes what comes because this node has asked for it.
    room
        How much is taken in; None for as much as comes.
    """

    def __init__(
        self,
        db: Database,
        files: Files,
        rules: Iterable[Rule],
        scratch: ScratchArea | None = None,
        room: Room | None = None,
    ) -> None:
        self._db = db
        self._pressure = Pressure(db, room or Room())
        self._scratch = scratch
        self._files = files
        self._studies = Studies(db, files)
        self._jobs = Jobs(db, files)
        self._corrections = Corrections(db)
        self._counts = Counts(db)
        self._lock = threading.Lock()
        self._unnoted: set[str] = set()
        self._counted = counted_keywords(rules)

    def opened(self, association: Association) -> None:
        """A peer has an association open: its studies may go on growing.

        A full disk is no reason to hang up: each object gets its own answer, and the association is noted with the
        first one that there is room for.
        """
        try:
            with self._lock, self._db.transaction():
                self._studies.open_association(association)
        except OutOfResources as error:
            _log.error("association not noted", reason=str(error))
            self._unnoted.add(association.association_id)

    def closed(self, association: Association) -> None:
        """The association is gone, however it ended; one that cannot be noted as closed ends with the long quiet."""
        self._unnoted.discard(association.association_id)
        try:
            with self._lock, self._db.transaction():
                self._studies.close_association(association.association_id)
        except OutOfResources as error:
            _log.error("end of association not noted", reason=str(error))

    def accept(self, arrival: Arrival) -> None:
        """Keep an object durably; returning means that Success may be answered.

        Raises
        ------
        OutOfResources
            If the disk or the database cannot take it, or too much has come already; no row names it, and a file
            that is there already is swept.
        CannotUnderstand
            The same bytes are here in another transfer syntax.
        """
        strays = stray(self._files.folder, arrival)
        if self._scratch is not None and self._scratch.takes(arrival):
            self._scratch.keep(arrival)
            return
        with self._lock:
            if self._jobs.is_own(arrival.sop_instance_uid) or strays:
                # An archive that forwards everything brings our results home; they are here and change nothing.
                _log.debug("own object came back", sop_instance_uid=arrival.sop_instance_uid)
                return
            known, before = self._studies.known(arrival), None
            if known is None:
                self._pressure.require_room(arrival.study_instance_uid)
                before = self._studies.current_instance(arrival.study_instance_uid, arrival.sop_instance_uid)
        path, name = "", (arrival.study_instance_uid, arrival.sop_instance_uid, arrival.digest)
        # Success promises the file, also where somebody has damaged the store since the object came first.
        if known is None or not self._files.holds_arrival(*name):
            path = self._files.keep_arrival(*name, arrival.path)
        # Reading two files takes as long as they are large; nobody else has to wait for that.
        alike = before.digest if before is not None and same_content(before, arrival, self._files.path(path)) else ""
        failpoint("intake.before_commit")
        with self._lock, self._db.transaction():
            if arrival.association.association_id in self._unnoted:
                self._studies.open_association(arrival.association)
            self._studies.note_carrier(arrival)
            self._counts.received(arrival.association.peer, arrival.size_bytes)
            # Asked again: another association may have brought the same object meanwhile.
            known = self._studies.known(arrival)
            if known is None:
                require_file(self._files, path)
                self._add(arrival, path, alike)
                self._pressure.added(arrival.study_instance_uid)
            elif known is Standing.REPLACED:
                self._studies.readmit(arrival)
                self._corrections.overrule(arrival.study_instance_uid, arrival.header)
            if arrival.on_demand:
                self._studies.demand(arrival)
        failpoint("intake.after_commit")

    def _add(self, arrival: Arrival, path: str, alike: str) -> None:
        """Add a kept object; `alike` is the digest of the object that had the same pixels or contours, if one had."""
        current = self._studies.current_instance(arrival.study_instance_uid, arrival.sop_instance_uid)
        if current is None:
            self._studies.add(arrival, path, Standing.CURRENT, known=False)
            return
        # One that another association has brought meanwhile was not compared: that is done when studies settle.
        standing, changed, detail = meaning(current, arrival, self._counted, alike=current.digest == alike)
        if standing is Standing.CURRENT and set(changed) & set(IDENTITY):
            self._corrections.overrule(arrival.study_instance_uid, arrival.header)
        self._studies.add(arrival, path, standing, known=True)
        self._db.event(arrival.study_instance_uid, "instance", arrival.sop_instance_uid, "came again", detail)
