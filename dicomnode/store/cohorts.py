"""What a cohort takes from the store: studies that have arrived, and the masks that this node made of them."""

from __future__ import annotations

from pathlib import Path

from dicomnode.store.database import Database
from dicomnode.store.files import Files


def settled_studies(db: Database) -> list[str]:
    """Study Instance UIDs of the studies that have arrived and are not held."""
    rows = db.rows("SELECT study_instance_uid FROM study WHERE state = 'settled' AND held = '' ORDER BY 1")
    return [row["study_instance_uid"] for row in rows]


def own_masks(db: Database, files: Files, study_instance_uid: str) -> list[Path]:
    """The SEG that still stand of every rule: of its newest finished run, not taken back, inputs not replaced."""
    rows = db.rows(
        "SELECT result.path FROM result JOIN job USING (job_id) WHERE study_instance_uid = :uid"
        " AND state = 'done' AND superseded = 0 AND retracted = '' AND role = kind AND kind = 'seg'"
        " AND result.purged_at = ''"
        " AND job.run = (SELECT MAX(run) FROM job AS new WHERE new.study_instance_uid = job.study_instance_uid"
        "  AND new.rule = job.rule AND new.input_digest = job.input_digest AND new.state = 'done')"
        " ORDER BY result_id",
        uid=study_instance_uid,
    )
    return [files.path(row["path"]) for row in rows]
