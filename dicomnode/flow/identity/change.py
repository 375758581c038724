"""Has the results of a study made again when an archive says that it is somebody else's."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from dicomnode.domain.identity import StudyIdentity
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.identity import Corrections, Known, Outdated
from dicomnode.store.jobs import Jobs
from dicomnode.store.returned import returned
from dicomnode.store.studies import Studies

_log = structlog.get_logger(__name__)


class Change:
    """What follows when results and an archive do not agree whose a study is."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._jobs = Jobs(db, files)
        self._studies = Studies(db, files)
        self._corrections = Corrections(db)
        self._outdated = Outdated(db, files)

    def weigh(self, job_id: int, peer: str, built: StudyIdentity, found: Sequence[StudyIdentity]) -> bool:
        """Hold what goes by another identity, and have it made again; whether the results of a job may go after all.

        All of it is one transaction. The study settles again, so that rules and earlier studies are those of the
        patient whom the archive names.

        Parameters
        ----------
        built
            What the results of the job say.
        found
            What the archive says; at least one answer, and none that agrees.
        """
        archive = found[0]
        keywords = ", ".join(built.deviations(archive))
        with self._db.transaction():
            job = self._jobs.load(job_id)
            if job is None or self._outdated.waiting(job_id, peer) is None:
                return False
            uid = job.study_instance_uid
            known = self._corrections.of(uid)
            heard = self._objects_agree(uid, archive)
            if heard and job_id > known.since_job:
                return True  # made as the archive says, as far as a result can say that
            if why := self._doubt(uid, peer, keywords, known, found):
                self._studies.hold(uid, why)
                _log.warning("study held", study_instance_uid=uid, destination=peer, reason=why)
                return False
            if not heard:
                self._corrections.write(uid, archive, peer)
            why = f"{peer} says another {keywords} of the study than its results do"
            jobs = self._outdated.stop(uid, self._corrections.of(uid).since_job, why)
            self._db.event(
                uid, "identity", peer, "changed", f"{why}; {jobs} jobs are not sent and done again as it says"
            )
            self._studies.reopen(uid, why, forced=False)
        _log.warning("identity changed", study_instance_uid=uid, destination=peer, attributes=keywords, jobs=jobs)
        return False

    def _objects_agree(self, study_instance_uid: str, archive: StudyIdentity) -> bool:
        """Whether the objects, as far as they were corrected, say already what the archive says."""
        study = self._studies.load(study_instance_uid, removed=True)
        headers = [one.header for series in study.series for one in series.instances] if study else []
        return all(not StudyIdentity.of(header).deviations(archive) for header in headers)

    def _doubt(
        self, study_instance_uid: str, peer: str, keywords: str, known: Known, found: Sequence[StudyIdentity]
    ) -> str:
        """Why only an operator can tell what is true, or ""."""
        if any(not _agree(found[0], one) for one in found[1:]):
            return f"{peer} gives {len(found)} answers about the study, which differ; needed one"
        corrected = [one for one in known.corrections if one.before.deviations(one.after)]
        if known.source not in ("", peer) and any(not one.before.deviations(found[0]) for one in corrected):
            return f"{peer} still has the {keywords} that {known.source} has corrected; correct one of them, then retry"
        if gone := returned(self._db, study_instance_uid).missing:
            return (
                f"{peer} says another {keywords} of the study than its results do, and {gone} of its objects were"
                " removed to make room; send the study again"
            )
        return ""


def _agree(one: StudyIdentity, other: StudyIdentity) -> bool:
    return not one.deviations(other) and not other.deviations(one)
