"""Whose study it is, for the audit trail."""

from __future__ import annotations

import json

from dicomnode.domain.header import Header
from dicomnode.domain.network import Association
from dicomnode.store.database import Database


class Identities:
    """Reads who the patient of a study is, and which studies were under way when the node ended."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of(self, study_instance_uid: str) -> tuple[str, str]:
        """Patient ID and Accession Number of a study as its first series says, or empty; also of a fetched prior."""
        row = self._db.row(
            "SELECT header FROM series WHERE study_instance_uid = ? ORDER BY rowid LIMIT 1", study_instance_uid
        ) or self._db.row(
            "SELECT header FROM prior_series WHERE study_instance_uid = ? AND header <> '' LIMIT 1", study_instance_uid
        )
        if row is None:
            return "", ""
        header = Header.of(json.loads(row["header"]))
        return str(header.first("PatientID", "")), str(header.first("AccessionNumber", ""))

    def interrupted(self) -> list[tuple[Association, str]]:
        """Associations that were open when the node ended, each with one of the studies that it carried."""
        rows = self._db.rows(
            "SELECT association_id, calling_aet, called_aet, address, study_instance_uid"
            " FROM association JOIN association_study USING (association_id) ORDER BY association_id"
        )
        return [
            (
                Association(
                    association_id=row["association_id"], calling_aet=row["calling_aet"],
                    called_aet=row["called_aet"], address=row["address"],
                ),
                row["study_instance_uid"],
            )
            for row in rows
        ]  # fmt: skip
