"""Where a rule's analysis of a study stands, and what of it a destination has."""

from __future__ import annotations

from dataclasses import dataclass

from dicomnode.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the books say of one rule on one study.

    Attributes
    ----------
    study
        State of the study; empty where it is not known here.
    held
        Why an operator is waited for.
    job, reason
        State of the newest job of the rule and why it is so; empty where there is none.
    retracted
        Why its results were taken back.
    owed
        State of a delivery → how many, of the newest job that owes any.
    series
        Series Instance UIDs of what was delivered to the destination.
    """

    study: str = ""
    held: str = ""
    job: str = ""
    reason: str = ""
    retracted: str = ""
    owed: dict[str, int]
    series: frozenset[str] = frozenset()


def standing(db: Database, study_instance_uid: str, rule: str, destination: str) -> Standing:
    """Where a rule on a study stands.

    Parameters
    ----------
    destination
        Name of the peer whose deliveries count; empty: of all.
    """
    study = db.row("SELECT state, held FROM study WHERE study_instance_uid = ?", study_instance_uid)
    if study is None:
        return Standing(owed={})
    job = db.row(
        "SELECT job_id, state, reason, retracted FROM job WHERE study_instance_uid = ? AND rule = ?"
        " ORDER BY (state = 'cancelled'), job_id DESC LIMIT 1",
        study_instance_uid, rule,
    )  # fmt: skip
    if job is None:
        return Standing(study=study["state"], held=study["held"], owed={})
    # What only compares owes nothing where it failed; the run before it stands.
    rows = db.rows(
        "SELECT delivery.state, result.series_instance_uid FROM delivery JOIN result USING (result_id)"
        " WHERE delivery.job_id = (SELECT MAX(job_id) FROM job JOIN delivery USING (job_id)"
        "  WHERE job.study_instance_uid = :study AND rule = :rule AND job.state <> 'cancelled'"
        "  AND (:name = '' OR destination = :name))"
        " AND occasion <> 'withdrawal' AND (:name = '' OR destination = :name)",
        study=study_instance_uid, rule=rule, name=destination,
    )  # fmt: skip
    owed: dict[str, int] = {}
    for row in rows:
        owed[row["state"]] = owed.get(row["state"], 0) + 1
    return Standing(
        study=study["state"],
        held=study["held"],
        job=job["state"],
        reason=job["reason"],
        retracted=job["retracted"],
        owed=owed,
        series=frozenset(row["series_instance_uid"] for row in rows if row["state"] == "done"),
    )


def own_series(db: Database, study_instance_uid: str) -> frozenset[str]:
    """Series that this node has made for a study."""
    rows = db.rows(
        "SELECT DISTINCT result.series_instance_uid FROM result JOIN job USING (job_id) WHERE study_instance_uid = ?",
        study_instance_uid,
    )
    return frozenset(row["series_instance_uid"] for row in rows)
