"""Which studies have results of a model, and where these went: what a recall needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dicomnode.domain.clock import to_text
from dicomnode.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One object of a run at one destination; `state` is empty where it is owed to nobody."""

    role: str
    sop_instance_uid: str
    destination: str
    state: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """One run of a model on a study.

    Attributes
    ----------
    version
        Empty for what was analysed before versions were noted.
    retracted
        Why it was taken back; empty where it was not.
    flags
        How many complaints there are about the study.
    """

    study_instance_uid: str
    rule: str
    model: str
    version: str
    run: int
    ended_at: str
    state: str
    scanner: str
    retracted: str
    flags: int
    places: tuple[Place, ...]


def affected(
    db: Database,
    *,
    model: str = "",
    version: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    scanner: str = "",
    most: int = -1,
) -> list[Affected]:
    """The runs that have made results, oldest first.

    Parameters
    ----------
    model, version
        Of the bundle; empty: any. Runs whose version was not noted are of any version, so that none is missed.
    since, until
        When the run ended: from, and before.
    scanner
        A part of manufacturer, model or station, in either case; runs without a note are of any.
    most
        So many at most; -1 for all.
    """
    rows = db.rows(
        "SELECT job.job_id, study_instance_uid, rule, job.model, COALESCE(version, '') AS version, run,"
        " COALESCE(ended_at, changed_at) AS ended_at, state, retracted,"
        " trim(COALESCE(manufacturer || ' ' || scanner || ' ' || station, '')) AS scanner"
        " FROM job LEFT JOIN outcome USING (job_id) WHERE EXISTS (SELECT 1 FROM result WHERE job_id = job.job_id)"
        " AND (:model = '' OR job.model = :model)"
        " AND (:version = '' OR version IS NULL OR version IN ('', :version))"
        " AND (:since = '' OR COALESCE(ended_at, changed_at) >= :since)"
        " AND (:until = '' OR COALESCE(ended_at, changed_at) < :until)"
        " AND (:scanner = '' OR version IS NULL"
        "  OR instr(lower(manufacturer || ' ' || scanner || ' ' || station), lower(:scanner)) > 0)"
        " ORDER BY COALESCE(ended_at, changed_at), job.job_id LIMIT :most",
        model=model, version=version, scanner=scanner, since=to_text(since) if since else "",
        until=to_text(until) if until else "", most=most,
    )  # fmt: skip
    found = []
    for row in map(dict, rows):
        places = _places(db, row.pop("job_id"))
        found.append(Affected(**row, places=places, flags=_flags(db, row["study_instance_uid"])))
    return found


def _flags(db: Database, study_instance_uid: str) -> int:
    row = db.row("SELECT COUNT(*) FROM flag WHERE study_instance_uid = ?", study_instance_uid)
    return int(row[0]) if row else 0


def _places(db: Database, job_id: int) -> tuple[Place, ...]:
    """Where the objects of a run are or shall be; not forms that only stood ready."""
    rows = db.rows(
        "SELECT role, result.sop_instance_uid, COALESCE(destination, '') AS destination,"
        " COALESCE(delivery.state, '') AS state, COALESCE(delivery.changed_at, '') AS at"
        " FROM result LEFT JOIN delivery USING (result_id)"
        " WHERE result.job_id = ? AND (delivery.state IS NOT NULL OR role = kind) ORDER BY result_id, destination",
        job_id,
    )
    return tuple(Place(**dict(row)) for row in rows)
