"""Tells readers once that a rule's deadline was missed, and that the result follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from pydicom import Dataset

from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError, OutOfResources
from dicomnode.domain.work import Job, Occasion
from dicomnode.flow.choice import Choice
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.identified import identified
from dicomnode.flow.keep import keep_notice
from dicomnode.flow.reason import in_words
from dicomnode.infer.read.faults import READ_FAULTS
from dicomnode.store.database import Database
from dicomnode.store.deadlines import Deadlines
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs, Made

_log = structlog.get_logger(__name__)


class Overdue:
    """Looks for missed deadlines beside the workers, which may be busy with the very job that is late."""

    def __init__(self, db: Database, files: Files, settings: Settings) -> None:
        self._db = db
        self._files = files
        self._settings = settings
        self._deadlines = Deadlines(db)
        self._jobs = Jobs(db, files)
        self._choice = Choice(db, files)

    def sweep(self) -> int:
        """Tell of every deadline that was missed; how many these were."""
        told = 0
        try:
            for job_id in self._deadlines.missed():
                job = self._jobs.load(job_id)
                told += job is not None and self._tell(job)
        except OutOfResources as error:
            _log.error("missed deadlines not told", reason=str(error))
        return told

    def _tell(self, job: Job) -> bool:
        rule = next((rule for rule in self._settings.rules if rule.name == job.rule), None)
        limit = f" of {rule.deadline_seconds:g} s" if rule and rule.deadline_seconds else ""
        text = f"the deadline{limit} after the study had arrived was missed; the result follows when it is ready"
        # The writers take a second to import, and few listeners ever miss a deadline.
        from dicomnode.flow.notices import headers_of

        made = self._tried(lambda: self._made(job, text, headers_of(job)))
        if isinstance(made, Exception):
            made = self._tried(lambda: self._made(job, text, identified(self._db, self._files, job)))
        if isinstance(made, Exception):
            # One job that cannot be told of must not keep the others waiting; its deadline ends in the story alone.
            text, made = f"{text}; and no report could be written: {in_words(made)}", []
        failpoint("overdue.before_commit")
        with self._db.transaction():
            if not self._deadlines.close(job.job_id):
                return False
            self._jobs.add_results(job.job_id, made)
            for destination in job.destinations:
                self._choice.owe(job.job_id, destination, self._settings.peer(destination), Occasion.OVERDUE)
            self._db.event(job.study_instance_uid, "job", f"{job.job_id} ({job.rule})", "overdue", text)
        failpoint("overdue.after_commit")
        _log.warning("deadline missed", job=job.job_id, study_instance_uid=job.study_instance_uid, rule=job.rule)
        return True

    def _tried(self, make: Callable[[], list[Made]]) -> list[Made] | Exception:
        try:
            return make()
        except OutOfResources:
            raise
        except (DicomNodeError, *READ_FAULTS) as error:
            return error

    def _made(self, job: Job, text: str, headers: Sequence[Dataset]) -> list[Made]:
        from dicomnode.flow.notices import overdue

        outputs = overdue(self._settings, job, headers, text, self._db.clock(), self._jobs.predecessor(job))
        return [keep_notice(self._files, job.study_instance_uid, output, Occasion.OVERDUE) for output in outputs]
