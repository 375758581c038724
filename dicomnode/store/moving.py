"""What is being received, analysed and sent at this moment, and what of one study is owed to whom."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from dicomnode.domain.header import Header
from dicomnode.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """One thing under way."""

    what: str
    state: str
    study_instance_uid: str
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job of a study."""

    job_id: int
    rule: str
    model: str
    series_instance_uid: str
    state: str
    reason: str
    run: int
    attempts: int
    created_at: str
    changed_at: str
    research: bool
    retracted: str
    superseded: bool
    received: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One object that a job has made; `here` says whether its file still is."""

    result_id: int
    job_id: int
    role: str
    kind: str
    occasion: str
    sop_class_uid: str
    sop_instance_uid: str
    digest: str
    size_bytes: int
    path: str
    created_at: str
    here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One object owed to one destination."""

    delivery_id: int
    result_id: int
    role: str
    destination: str
    state: str
    reason: str
    attempts: int
    changed_at: str
    confirmed_at: str
    confirmed_by: str
    can_go_again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRow:
    """One series of a study as it lies in the store."""

    series_instance_uid: str
    modality: str
    number: str
    objects: int
    size_bytes: int
    here: int
    description: str = field(repr=False)


class Movements:
    """Reads the rows of work for people."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def under_way(self, limit: int) -> tuple[list[Moving], int]:
        """What runs, then what is received, then what waits; and how much more there is."""
        rows = self._db.rows(
            "SELECT CASE WHEN state = 'receiving' THEN (SELECT COUNT(*) FROM instance WHERE"
            "  instance.study_instance_uid = found.study_instance_uid) || what ELSE what END AS what,"
            " state, study_instance_uid, since FROM (SELECT * FROM ("
            " SELECT 'rule ' || rule || ', model ' || model || ', run ' || run AS what, state, study_instance_uid,"
            "  changed_at AS since FROM job WHERE state IN ('running', 'waiting')"
            " UNION ALL SELECT COUNT(*) || ' results to ' || destination, state, study_instance_uid, MIN(changed_at)"
            "  FROM delivery WHERE state IN ('running', 'waiting') GROUP BY study_instance_uid, destination, state"
            " UNION ALL SELECT ' objects from ' || calling_aet, state, study_instance_uid, first_arrival_at FROM study"
            "  WHERE state = 'receiving')"
            " ORDER BY CASE state WHEN 'running' THEN 0 WHEN 'receiving' THEN 1 ELSE 2 END, since LIMIT ?) AS found",
            limit,
        )
        counted = self._db.row(
            "SELECT (SELECT COUNT(*) FROM job WHERE state IN ('running', 'waiting'))"
            " + (SELECT COUNT(*) FROM (SELECT DISTINCT study_instance_uid, destination, state FROM delivery"
            "  WHERE state IN ('running', 'waiting')))"
            " + (SELECT COUNT(*) FROM study WHERE state = 'receiving') AS moves"
        )
        return [Moving(**dict(row)) for row in rows], max(0, (int(counted["moves"]) if counted else 0) - limit)

    def jobs(self, study_instance_uid: str) -> list[JobRow]:
        """The jobs of a study, the newest first."""
        rows = self._db.rows(
            "SELECT job_id, rule, model, series_instance_uid, state, reason, run, attempts, created_at, changed_at,"
            " research, retracted, superseded, received FROM job WHERE study_instance_uid = ? ORDER BY job_id DESC",
            study_instance_uid,
        )
        return [
            JobRow(**{**dict(row), "research": bool(row["research"]), "superseded": bool(row["superseded"])})
            for row in rows
        ]

    def results(self, study_instance_uid: str) -> list[ResultRow]:
        """What the jobs of a study have made, in the order of making."""
        rows = self._db.rows(
            "SELECT result_id, job_id, role, kind, occasion, sop_class_uid, sop_instance_uid, result.digest,"
            " size_bytes, path, result.created_at, purged_at = '' AS here FROM result JOIN job USING (job_id)"
            " WHERE study_instance_uid = ? ORDER BY result_id",
            study_instance_uid,
        )
        return [ResultRow(**{**dict(row), "here": bool(row["here"])}) for row in rows]

    def deliveries(self, study_instance_uid: str) -> list[DeliveryRow]:
        """What of a study is owed to whom, by destination."""
        rows = self._db.rows(
            "SELECT delivery_id, delivery.result_id, role, destination, delivery.state, delivery.reason,"
            " delivery.attempts, delivery.changed_at, confirmed_at, confirmed_by,"
            " delivery.state IN ('failed', 'done') AND result.purged_at = ''"
            "  AND ((superseded = 0 AND retracted = '') OR occasion = 'withdrawal') AS can_go_again"
            " FROM delivery JOIN result USING (result_id) JOIN job ON job.job_id = delivery.job_id"
            " WHERE delivery.study_instance_uid = ? ORDER BY destination, delivery_id",
            study_instance_uid,
        )
        return [DeliveryRow(**{**dict(row), "can_go_again": bool(row["can_go_again"])}) for row in rows]

    def series(self, study_instance_uid: str) -> list[SeriesRow]:
        """The series of a study, in the order of arrival."""
        rows = self._db.rows(
            "SELECT series.series_instance_uid, header, COUNT(instance_id) AS objects,"
            " COALESCE(SUM(size_bytes), 0) AS size_bytes, COALESCE(SUM(purged_at = ''), 0) AS here FROM series"
            " LEFT JOIN instance USING (study_instance_uid, series_instance_uid)"
            " WHERE series.study_instance_uid = ? GROUP BY series.series_instance_uid ORDER BY MIN(instance_id)",
            study_instance_uid,
        )
        return [_series(dict(row)) for row in rows]

    def image_paths(self, study_instance_uid: str, job_id: int) -> dict[str, str]:
        """SOP Instance UID → file, relative to the store, of what a job was given and is still here."""
        rows = self._db.rows(
            "SELECT sop_instance_uid, path FROM job_input JOIN instance USING (instance_id)"
            " WHERE job_id = ? AND study_instance_uid = ? AND purged_at = ''",
            job_id, study_instance_uid,
        )  # fmt: skip
        return {row["sop_instance_uid"]: row["path"] for row in rows}


def _series(row: dict[str, object]) -> SeriesRow:
    header = Header.of(json.loads(str(row.pop("header"))))
    return SeriesRow(
        modality=str(header.first("Modality", "") or ""),
        number=str(header.first("SeriesNumber", "") or ""),
        description=str(header.first("SeriesDescription", "") or ""),
        **row,  # type: ignore[arg-type]  # the columns are the fields
    )
