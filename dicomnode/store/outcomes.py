"""What jobs came to in figures, by model and scanner."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from dicomnode.domain.clock import from_text
from dicomnode.domain.header import Header
from dicomnode.domain.outcome import Ending, Figures, Outcome, Scanner
from dicomnode.domain.work import Job
from dicomnode.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A model and a scanner whose images it was given."""

    model: str
    scanner: Scanner


class Outcomes:
    """The rows of outcomes. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def record(self, job: Job, ending: Ending, figures: Figures, blocked_by: Sequence[str] = ()) -> None:
        """Note what a job came to; a job that is tried again ends again, and its last end counts.

        Of the runs of a rule on a study the last one counts that was not superseded (store/sql/0016_waiting.sql).
        """
        scanner = self._scanner(job)
        self._db.execute(
            "INSERT INTO outcome (job_id, ended_at, model, version, ending, blocked_by, manufacturer,"
            " scanner, station, findings, volume_ml, urgent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET ended_at = excluded.ended_at, version = excluded.version,"
            " ending = excluded.ending, blocked_by = excluded.blocked_by, findings = excluded.findings,"
            " volume_ml = excluded.volume_ml, urgent = excluded.urgent",
            job.job_id, self._db.now(), job.model, figures.version, ending.value, ", ".join(blocked_by),
            scanner.manufacturer, scanner.model, scanner.station, figures.findings, figures.volume_ml,
            ", ".join(figures.urgent),
        )  # fmt: skip

    def origins(self, least: int) -> list[Origin]:
        """Models and scanners with at least so many studies that were analysed."""
        rows = self._db.rows(
            "SELECT model, manufacturer, scanner, station FROM outcome WHERE counts = 1"
            " GROUP BY 1, 2, 3, 4 HAVING COUNT(*) >= ? ORDER BY 1, 2, 3, 4",
            least,
        )
        return [
            Origin(
                model=row["model"],
                scanner=Scanner(manufacturer=row["manufacturer"], model=row["scanner"], station=row["station"]),
            )
            for row in rows
        ]

    def latest(self, origin: Origin, most: int) -> list[Outcome]:
        """What a model came to on the newest studies of a scanner, newest first; a study is once among them.

        It has its place from when it was first analysed, and its figures from the last run that was not superseded.
        """
        rows = self._db.rows(
            "SELECT ended_at, ending, findings, volume_ml FROM outcome WHERE counts = 1"
            " AND model = ? AND manufacturer = ? AND scanner = ? AND station = ?"
            " ORDER BY first_at DESC, job_id DESC LIMIT ?",
            origin.model, origin.scanner.manufacturer, origin.scanner.model, origin.scanner.station, most,
        )  # fmt: skip
        return [
            Outcome(
                ended_at=from_text(row["ended_at"]),
                ending=Ending(row["ending"]),
                findings=row["findings"],
                volume_ml=row["volume_ml"],
            )
            for row in rows
        ]

    def _scanner(self, job: Job) -> Scanner:
        """The device that the series of the job's first input names."""
        row = self._db.row(
            "SELECT header FROM series WHERE study_instance_uid = ? AND series_instance_uid = ?",
            job.study_instance_uid, job.series_instance_uid,
        )  # fmt: skip
        header = Header.of(json.loads(row["header"]) if row else {})
        manufacturer, model, station = (
            str(header.first(keyword, "")).strip()
            for keyword in ("Manufacturer", "ManufacturerModelName", "StationName")
        )
        return Scanner(manufacturer=manufacturer, model=model, station=station)
