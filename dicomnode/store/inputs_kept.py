"""Which studies' objects an archive is still to be asked about before they may go, and what it has said."""

from __future__ import annotations

from datetime import datetime

from dicomnode.domain.clock import to_text
from dicomnode.domain.commitment import Reference
from dicomnode.store.commitments import Wanted
from dicomnode.store.database import Database


class InputsKept:
    """The rows of these questions. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def due(self) -> str | None:
        """The study that has waited longest of those that have ended, are here, and are to be asked about now."""
        row = self._db.row(
            "SELECT study_instance_uid FROM study LEFT JOIN inputs_inquiry USING (study_instance_uid)"
            " WHERE study.purged_at = '' AND state <> 'receiving' AND COALESCE(confirmed_at, '') <= last_arrival_at"
            " AND COALESCE(next_at, '') <= ? AND EXISTS (SELECT 1 FROM instance"
            "  WHERE instance.study_instance_uid = study.study_instance_uid AND instance.purged_at = '')"
            " ORDER BY last_arrival_at LIMIT 1",
            self._db.now(),
        )
        return None if row is None else str(row["study_instance_uid"])

    def objects(self, study_instance_uid: str) -> list[Wanted]:
        """What is here of a study."""
        rows = self._db.rows(
            "SELECT DISTINCT series_instance_uid, sop_class_uid, sop_instance_uid FROM instance"
            " WHERE study_instance_uid = ? AND purged_at = '' ORDER BY instance_id",
            study_instance_uid,
        )
        return [
            Wanted(
                position=position,
                reference=Reference(sop_class_uid=row["sop_class_uid"], sop_instance_uid=row["sop_instance_uid"]),
                study_instance_uid=study_instance_uid,
                series_instance_uid=row["series_instance_uid"],
                delivery_id=None,
                verdict=None,
                lost=0,
            )
            for position, row in enumerate(rows)
        ]

    def asked(self, study_instance_uid: str) -> int:
        """How often it was asked about in vain."""
        row = self._db.row("SELECT asked FROM inputs_inquiry WHERE study_instance_uid = ?", study_instance_uid)
        return row["asked"] if row is not None else 0

    def confirm(self, study_instance_uid: str, at: datetime, detail: str) -> None:
        """Note that what had come by then is kept elsewhere."""
        self._write(study_instance_uid, 0, at, to_text(at))
        self._db.event(study_instance_uid, "study", "", "objects confirmed", detail)

    def put_off(self, study_instance_uid: str, asked: int, until: datetime, detail: str) -> None:
        """Ask again then; the story has it the first time, if there is anything to tell."""
        self._write(study_instance_uid, asked, until, "")
        if asked == 1 and detail:
            self._db.event(study_instance_uid, "study", "", "objects not confirmed", detail)

    def _write(self, study_instance_uid: str, asked: int, next_at: datetime, confirmed_at: str) -> None:
        self._db.execute(
            "INSERT INTO inputs_inquiry (study_instance_uid, asked, next_at, confirmed_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET asked = excluded.asked, next_at = excluded.next_at,"
            " confirmed_at = excluded.confirmed_at",
            study_instance_uid, asked, to_text(next_at), confirmed_at,
        )  # fmt: skip
