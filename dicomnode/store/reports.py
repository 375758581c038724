"""Reports that jobs of this node have made and sent, with their files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dicomnode.domain.finding import PriorReport
from dicomnode.domain.work import Job
from dicomnode.store.database import Database
from dicomnode.store.files import Files


@dataclass(frozen=True, slots=True, kw_only=True)
class SentReport:
    """A report that a destination has, its file, and whether the same job made a mask that somebody may correct."""

    report: PriorReport
    path: Path
    with_mask: bool


class Reports:
    """Reads the rows of reports."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    def on_same_images(self, job: Job) -> Iterator[SentReport]:
        """Reports with results that other jobs made on the same series and that were sent, the newest first.

        What an operator took back is none of them.
        """
        rows = self._db.rows(
            "SELECT result.*, job.study_instance_uid, EXISTS (SELECT 1 FROM result AS mask"
            "  WHERE mask.job_id = job.job_id AND mask.kind IN ('seg', 'labelmap', 'rtstruct')) AS with_mask"
            " FROM result JOIN job USING (job_id)"
            " WHERE result.kind = 'sr' AND job.study_instance_uid = ? AND job.series_instance_uid = ?"
            " AND job.job_id <> ? AND job.retracted = '' AND result.purged_at = ''"
            " AND EXISTS (SELECT 1 FROM delivery WHERE delivery.result_id = result.result_id AND state = 'done')"
            " ORDER BY result_id DESC",
            job.study_instance_uid, job.series_instance_uid, job.job_id,
        )  # fmt: skip
        for row in rows:
            yield SentReport(
                report=PriorReport(
                    study_instance_uid=row["study_instance_uid"],
                    series_instance_uid=row["series_instance_uid"],
                    sop_class_uid=row["sop_class_uid"],
                    sop_instance_uid=row["sop_instance_uid"],
                ),
                path=self._files.path(row["path"]),
                with_mask=bool(row["with_mask"]),
            )
