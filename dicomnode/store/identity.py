"""What archives have corrected of whose studies are, and the work that goes by what was said before."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from dicomnode.domain.clock import from_text
from dicomnode.domain.header import Header
from dicomnode.domain.identity import Correction, StudyIdentity, corrected_header
from dicomnode.domain.study import Instance, Study
from dicomnode.store.database import Database
from dicomnode.store.files import Files


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A result that a destination is owed, and since when it exists."""

    study_instance_uid: str
    made_at: datetime
    path: Path = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an archive has corrected of a study.

    Attributes
    ----------
    source
        Name of the archive that said so last; "" where none has.
    since_job
        Jobs up to this one did not know of it.
    """

    corrections: tuple[Correction, ...] = ()
    source: str = ""
    since_job: int = 0


class Corrections:
    """The rows of corrections. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of(self, study_instance_uid: str) -> Known:
        """What is known of a study."""
        rows = self._db.rows(
            "SELECT * FROM identity_correction WHERE study_instance_uid = ? ORDER BY before", study_instance_uid
        )
        found = tuple(Correction(before=_identity(row["before"]), after=_identity(row["after"])) for row in rows)
        if not rows:
            return Known()
        return Known(corrections=found, source=rows[0]["source"], since_job=rows[0]["since_job"])

    def told(self, study: Study) -> Study:
        """A study whose objects say what archives have corrected."""
        corrections = self.of(study.study_instance_uid).corrections
        if not corrections:
            return study

        def instance(one: Instance) -> Instance:
            return replace(one, header=corrected_header(one.header, corrections))

        return replace(
            study, series=tuple(replace(one, instances=tuple(map(instance, one.instances))) for one in study.series)
        )

    def write(self, study_instance_uid: str, archive: StudyIdentity, source: str) -> None:
        """Take every object of a study, as it is now and as it was corrected before, to say what an archive says."""
        before = {_text(one.before) for one in self.of(study_instance_uid).corrections}
        before |= {_text(one) for one in self._said(study_instance_uid)}
        for text in before:
            self._db.execute(
                "INSERT INTO identity_correction VALUES (:study, :before, :after, :source, 0, :now)"
                " ON CONFLICT (study_instance_uid, before) DO UPDATE SET after = :after, changed_at = :now",
                study=study_instance_uid, before=text, after=_text(archive), source=source, now=self._db.now(),
            )  # fmt: skip
        self._db.execute(
            "UPDATE identity_correction SET source = :source, since_job ="
            " (SELECT COALESCE(MAX(job_id), 0) FROM job WHERE study_instance_uid = :study)"
            " WHERE study_instance_uid = :study",
            study=study_instance_uid, source=source,
        )  # fmt: skip

    def overrule(self, study_instance_uid: str, header: Header) -> None:
        """Let an object that came again with another identity speak for itself: the newest wins."""
        said = StudyIdentity.of(header)
        for one in self.of(study_instance_uid).corrections:
            if one.before.vouches_for(said):
                self._db.execute(
                    "DELETE FROM identity_correction WHERE study_instance_uid = ? AND before = ?",
                    study_instance_uid, _text(one.before),
                )  # fmt: skip

    def unsettled(self, study_instance_uid: str) -> bool:
        """Whether a correction was written since the study has last got jobs."""
        return (
            self._db.row(
                "SELECT 1 FROM identity_correction WHERE study_instance_uid = :study AND since_job >="
                " (SELECT COALESCE(MAX(job_id), 0) FROM job WHERE study_instance_uid = :study)",
                study=study_instance_uid,
            )
            is not None
        )

    def _said(self, study_instance_uid: str) -> Collection[StudyIdentity]:
        rows = self._db.rows(
            "SELECT header, own FROM instance JOIN series USING (study_instance_uid, series_instance_uid)"
            " WHERE study_instance_uid = ? AND (standing = 'current' OR purged_at <> '')",
            study_instance_uid,
        )
        series: dict[str, dict[str, dict[str, object]]] = {}
        found: dict[str, StudyIdentity] = {}
        for row in rows:
            shared = series.setdefault(row["header"], json.loads(row["header"]))
            one = StudyIdentity.of(Header(shared, json.loads(row["own"])))
            found[_text(one)] = one
        return found.values()


class Outdated:
    """Results and jobs that go by an identity that is no longer true. Methods that write expect a transaction."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    def waiting(self, job_id: int, destination: str) -> Waiting | None:
        """The oldest result of a job that waits for a destination; what takes results back goes in any case."""
        row = self._db.row(
            "SELECT study_instance_uid, created_at, path FROM delivery JOIN result USING (result_id)"
            " WHERE delivery.job_id = ? AND destination = ? AND delivery.state = 'waiting'"
            " AND occasion <> 'withdrawal' ORDER BY created_at, delivery_id LIMIT 1",
            job_id, destination,
        )  # fmt: skip
        if row is None:
            return None
        return Waiting(
            study_instance_uid=row["study_instance_uid"], made_at=from_text(row["created_at"]),
            path=self._files.path(row["path"]),
        )  # fmt: skip

    def stop(self, study_instance_uid: str, since_job: int, why: str) -> int:
        """Fence the jobs up to this one that are not done or of which something is still to be sent; how many.

        A worker finds the fence at its commit. What has gone out whole stays: the archive takes it along.
        """
        now = self._db.now()
        jobs = self._db.execute(
            "UPDATE job SET superseded = 1 WHERE study_instance_uid = ? AND job_id <= ? AND superseded = 0"
            " AND (state IN ('waiting', 'running') OR EXISTS (SELECT 1 FROM delivery JOIN result USING (result_id)"
            "  WHERE delivery.job_id = job.job_id AND delivery.state IN ('waiting', 'running')"
            "  AND occasion <> 'withdrawal'))",
            study_instance_uid, since_job,
        )  # fmt: skip
        self._db.execute(
            "UPDATE job SET state = 'cancelled', reason = ?, changed_at = ?"
            " WHERE study_instance_uid = ? AND superseded = 1 AND state = 'waiting'",
            why, now, study_instance_uid,
        )  # fmt: skip
        self._db.execute(
            "UPDATE delivery SET state = 'cancelled', reason = ?, changed_at = ?"
            " WHERE study_instance_uid = ? AND state = 'waiting'"
            " AND job_id IN (SELECT job_id FROM job WHERE study_instance_uid = ? AND superseded = 1)"
            " AND (SELECT occasion FROM result WHERE result.result_id = delivery.result_id) <> 'withdrawal'",
            why, now, study_instance_uid, study_instance_uid,
        )  # fmt: skip
        return jobs

    def tell_once(self, study_instance_uid: str, peer: str, arrow: str, detail: str) -> None:
        """Tell the study's story something that may be found again and again."""
        if self._db.row(
            "SELECT 1 FROM event WHERE study_instance_uid = ? AND entity = 'identity' AND entity_id = ? AND arrow = ?"
            " AND detail = ?",
            study_instance_uid, peer, arrow, detail,
        ) is None:  # fmt: skip
            self._db.event(study_instance_uid, "identity", peer, arrow, detail)


def _text(one: StudyIdentity) -> str:
    return json.dumps(dict(one.values), sort_keys=True, ensure_ascii=False)


def _identity(text: str) -> StudyIdentity:
    return StudyIdentity(values=json.loads(text))
