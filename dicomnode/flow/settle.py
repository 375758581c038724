"""Loop 2, settle: a study that has arrived is closed to its rules, and its jobs are in the books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from dicomnode.complete.policy import Abandon, Complete, Wait, judge
from dicomnode.config import Settings
from dicomnode.domain.errors import OutOfResources
from dicomnode.domain.study import Study
from dicomnode.flow import pulse
from dicomnode.flow.book import book
from dicomnode.flow.evidence import patience, progress, receiving
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.plan import Planner
from dicomnode.flow.retention.returned import of_what_is_here
from dicomnode.flow.sameness import counted_keywords, disagreements
from dicomnode.flow.variants import Variants
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.identity import Corrections
from dicomnode.store.jobs import Jobs
from dicomnode.store.studies import Received, Studies

_log = structlog.get_logger(__name__)

#: A study whose settling failed this often is given up, visibly, so that it cannot fail for ever.
_MAX_FAILURES = 5


class Settle:
    """Sweeps over the studies that are receiving.

    Parameters
    ----------
    same_pixels
        Decodes two files and compares their pixels, outside the listener's process; None once `stopped`,
        after which nothing settles: what has come is for whoever takes over.
    """

    def __init__(
        self, db: Database, files: Files, settings: Settings, planner: Planner,
        same_pixels: Callable[[Path, Path], bool | None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._db = db
        self._studies, self._jobs = Studies(db, files), Jobs(db, files)
        self._planner, self._stopped = planner, stopped
        self._patience = patience(settings.completion)
        self._variants = Variants(db, self._studies, counted_keywords(settings.rules), same_pixels)
        self._failures: Counter[str] = Counter()
        self._disagreeing: dict[str, datetime] = {}

    def sweep(self) -> bool:
        """Judge every receiving study once; whether any settled."""
        pulse.again()
        try:
            variants, studies = self._studies.variants(), receiving(self._db, self._studies, self._patience)
        except OutOfResources as error:
            _log.error("sweep put off", reason=str(error))
            return False
        for variant in variants:
            key = f"variant {variant.instance_id}"
            give_up = self._failures[key] >= _MAX_FAILURES
            self._guarded(key, partial(self._variants.conflict if give_up else self._variants.weigh, variant))
        settled = False
        for received in studies:
            uid = received.study_instance_uid
            act = partial(self._judge, received)
            if self._failures[uid] >= _MAX_FAILURES:
                # Where even telling the reader fails, as planning may, the study goes in silence the next time.
                told = self._failures[uid] == _MAX_FAILURES
                why = f"settling failed {_MAX_FAILURES} times; see the log"
                act = partial(self._give_up, received, Abandon(why=why), told=told)
            settled = self._guarded(uid, act) or settled
        return settled

    def _guarded(self, key: str, act: Callable[[], bool]) -> bool:
        pulse.again()
        try:
            done = act()
        except OutOfResources as error:
            # Says nothing about the study: it is judged again when there is room.
            _log.error("settling put off", subject=key, reason=str(error))
            return False
        except Exception:  # noqa: BLE001 - one poisoned study must not halt the rest
            self._failures[key] += 1
            _log.exception("settling failed", subject=key, times=self._failures[key])
            return False
        self._failures.pop(key, None)
        return done

    def _judge(self, received: Received) -> bool:
        if received.held or self._stopped():
            return False
        now = self._db.clock()
        judgement = judge(progress(received), now, self._patience)
        if isinstance(judgement, Wait):
            return False
        if isinstance(judgement, Abandon):
            return self._give_up(received, judgement)
        patient_deadline = received.last_arrival_at + self._patience.give_up
        if self._disagreeing.get(received.study_instance_uid) == received.last_arrival_at and now < patient_deadline:
            return False
        study = self._studies.load(received.study_instance_uid)
        if study is None:
            return False
        differing = disagreements(study)
        if differing and now < patient_deadline:
            # A correction is on its way through the archive; results wait until all instances agree.
            self._disagreeing[received.study_instance_uid] = received.last_arrival_at
            return False
        self._disagreeing.pop(received.study_instance_uid, None)
        return self._settle(received, study, judgement, differing)

    def _settle(self, received: Received, study: Study, judgement: Complete, differing: list[str]) -> bool:
        uid = received.study_instance_uid
        refusal = f"instances of the study disagree on {', '.join(differing)}" if differing else ""
        forced = self._studies.on_demand(uid)
        anew = forced or Corrections(self._db).unsettled(uid)  # promised, however old it is by now
        planned = self._planner.plan(study, self._db.clock(), refusal=refusal, forced=anew)
        plans, considered = of_what_is_here(self._db, uid, planned, forced=forced)
        reason = judgement.evidence + (f"; incomplete: {judgement.short}" if judgement.short else "")
        failpoint("settle.before_commit")
        with self._db.transaction():
            if not self._studies.settle(received, reason, forced=forced):
                return False  # something arrived since; the next sweep judges anew
            jobs = book(self._db, self._jobs, received, judgement, plans, considered, forced=forced)
        failpoint("settle.after_commit")
        _log.info("study settled", study_instance_uid=uid, revision=received.revision, evidence=reason, jobs=len(jobs))
        return True

    def _give_up(self, received: Received, judgement: Abandon, *, told: bool = True) -> bool:
        """Abandon a study; every rule that matches what came tells its reader so."""
        uid, why = received.study_instance_uid, judgement.why
        study = self._studies.load(uid) if told else None
        refusal = f"the study was abandoned: {why}"
        plans, considered = self._planner.plan(study, self._db.clock(), refusal=refusal) if study else ([], [])
        with self._db.transaction():
            if not self._studies.settle(received, why, abandoned=True):
                return False
            jobs = book(self._db, self._jobs, received, judgement, plans, considered, forced=False)
        _log.warning("study abandoned", study_instance_uid=uid, why=why, jobs=len(jobs))
        return True
