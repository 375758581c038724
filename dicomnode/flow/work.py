"""Loop 3, work: a job becomes result files and the deliveries that are owed for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar

import structlog

from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError, EncodingError, LeaseLost, Outdated, OutOfResources, Unsuitable
from dicomnode.domain.finding import Check
from dicomnode.domain.work import Job
from dicomnode.flow import pulse
from dicomnode.flow.ending import Endings
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.made import Maker
from dicomnode.flow.reason import in_words
from dicomnode.flow.results import Computed
from dicomnode.infer.network.session import Sessions
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs, Made
from dicomnode.store.prior_sources import only_compares
from dicomnode.store.priors import Searches
from dicomnode.store.studies import Studies

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class Worker:
    """Takes jobs one at a time, under leases in its `name`; `sessions` keep networks loaded from job to job."""

    def __init__(self, db: Database, files: Files, settings: Settings, sessions: Sessions, name: str) -> None:
        self._db = db
        self._files = files
        self._settings = settings
        self._limits = settings.work
        self._name = name
        self._jobs = Jobs(db, files)
        self._maker = Maker(db, files, settings, sessions)
        self._endings = Endings(db, files, settings)
        self._studies = Studies(db, files)

    def run_once(self) -> bool:
        """Do one job, if there is one; whether there was."""
        with self._db.transaction():
            # A worker holds one job at a time: what it still holds is one whose verdict could not be written.
            self._jobs.hand_back(self._name, "its verdict could not be written", counts=False)
            job = self._jobs.claim(self._name, timedelta(seconds=self._limits.lease_seconds))
        if job is None:
            return False
        log = _log.bind(job=job.job_id, study_instance_uid=job.study_instance_uid, rule=job.rule, attempt=job.attempts)
        log.info("job started")
        try:
            with pulse.unhurried():
                self._do(job, log)
        except LeaseLost as error:
            log.warning("job lost", reason=str(error))
            with self._db.transaction():
                self._jobs.cancel_superseded(job)
        except OutOfResources as error:
            # Not even the verdict can be written; the job is handed back as soon as there is room for that.
            log.error("verdict not written", reason=str(error))
            return False
        return True

    def _do(self, job: Job, log: structlog.typing.FilteringBoundLogger) -> None:
        if job.attempts > self._limits.max_attempts:
            self._refuse(job, f"the analysis ended without a result {self._limits.max_attempts} times", log)
            return
        made = self._tried(lambda: self._maker.results(job))
        while not isinstance(made, Exception):
            results, computed = made
            if self._commit(job, results, computed):
                log.info("job done", results=[result.role for result in results], detail=computed.words)
                return
            made = self._tried(partial(self._maker.renewed, job, computed))
        if isinstance(made, OutOfResources):
            # Says nothing about the job: it waits until there is room again.
            self._put_off(job, str(made), counts=False)
            log.error("job put off", reason=str(made))
        elif isinstance(made, Outdated):
            self._replan(job, str(made))
            log.warning("job replaced by a new settling", reason=str(made))
        elif isinstance(made, Unsuitable | EncodingError | MemoryError) and not only_compares(self._db, job.job_id):
            # What did not fit once does not fit the next time.
            checks = made.checks if isinstance(made, Unsuitable) else ()
            self._refuse(job, in_words(made), log, checks, unsuitable=isinstance(made, Unsuitable))
        elif job.attempts >= self._limits.max_attempts:
            self._refuse(job, in_words(made), log)
        else:
            log.warning("job failed", reason=in_words(made), exc_info=not isinstance(made, DicomNodeError) and made)
            self._put_off(job, in_words(made), counts=True)

    def _tried(self, compute: Callable[[], _T]) -> _T | Exception:
        """What was computed, or what went wrong: the job's verdict, since the reader is told whatever it was."""
        try:
            return compute()
        except Exception as error:  # noqa: BLE001 - one of the three places where that is allowed
            return error

    def _commit(self, job: Job, made: Sequence[Made], computed: Computed) -> bool:
        """Whether it is in the books; not if the reader was told meanwhile that a deadline was missed."""
        failpoint("work.before_commit")
        with self._db.transaction():
            if self._jobs.predecessor(job) not in (None, computed.predecessor):
                return False
            self._jobs.finish(job, made, computed.words)
            if computed.compare_later:
                Searches(self._db, self._files).follow(job, computed.wait_seconds)
            self._endings.done(job, computed.figures)
        failpoint("work.after_commit")
        return True

    def _refuse(
        self, job: Job, reason: str, log: structlog.typing.FilteringBoundLogger, checks: Sequence[Check] = (), *,
        unsuitable: bool = False,
    ) -> None:  # fmt: skip
        """Give up the job and owe the reader one report that says why, unless he has the result that it adds to."""
        kept = only_compares(self._db, job.job_id)
        report = [] if kept else self._tried(lambda: self._maker.refusal(job, reason, checks))
        if isinstance(report, Exception) and not isinstance(report, OutOfResources):
            report = self._tried(lambda: self._maker.bare_refusal(job, reason, checks))
        if isinstance(report, OutOfResources):
            self._put_off(job, str(report), counts=False)
            return
        if isinstance(report, Exception):
            reason, report = f"{reason}; and no report could be written: {in_words(report)}", []
        version = self._endings.version(job)
        failpoint("work.before_commit")
        with self._db.transaction():
            self._jobs.fail(job, report, f"{'not compared' if kept else 'not analysed'}: {reason}")
            self._endings.refused(job, checks, version, unsuitable=unsuitable)
        failpoint("work.after_commit")
        log.warning("not analysed", reason=reason)

    def _replan(self, job: Job, reason: str) -> None:
        with self._db.transaction():
            self._jobs.drop_outdated(job, reason)
            self._studies.reopen(job.study_instance_uid, reason, forced=False)

    def _put_off(self, job: Job, reason: str, *, counts: bool) -> None:
        with self._db.transaction():
            self._jobs.put_off(job, reason, timedelta(seconds=self._limits.retry_seconds), counts=counts)
