"""Objects of earlier studies that were fetched from peers: never routed, never counted, kept for a while."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from sqlite3 import Row

from dicomnode.domain.clock import to_text
from dicomnode.domain.header import Header, JsonAttributes, differences
from dicomnode.domain.study import Arrival, Instance, Series, Study
from dicomnode.store.database import Database
from dicomnode.store.files import Files

#: Studies that neither a search nor a job needs, with the time at which they were last asked for or added to.
_UNNEEDED = (
    "SELECT study_instance_uid, MAX(MAX(asked_at), COALESCE((SELECT MAX(arrived_at) FROM prior_object"
    "  WHERE prior_object.study_instance_uid = prior_series.study_instance_uid), '')) AS touched_at"
    " FROM prior_series WHERE NOT EXISTS (SELECT 1 FROM prior_search, json_each(prior_search.found) AS chosen"
    "  WHERE prior_search.state IN ('waiting', 'fetched') AND chosen.value = prior_series.study_instance_uid)"
    " AND NOT EXISTS (SELECT 1 FROM job_prior JOIN job USING (job_id)"
    "  WHERE job_prior.study_instance_uid = prior_series.study_instance_uid AND job.state IN ('waiting', 'running'))"
    " GROUP BY study_instance_uid ORDER BY touched_at"
)


class Scratch:
    """The rows of the scratch area. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    def ask(self, study_instance_uid: str, series_instance_uids: Sequence[str], source: str) -> None:
        """Note that these series are being fetched."""
        for uid in series_instance_uids:
            self._db.execute(
                "INSERT INTO prior_series (study_instance_uid, series_instance_uid, source, asked_at, fetching)"
                " VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE"
                " SET source = excluded.source, asked_at = excluded.asked_at, fetching = 1",
                study_instance_uid, uid, source, self._db.now(),
            )  # fmt: skip

    def answered(self, study_instance_uid: str, series_instance_uid: str, *, whole: bool) -> None:
        """Note that a series is no longer being fetched; what was whole once stays so."""
        self._db.execute(
            "UPDATE prior_series SET fetching = 0, whole = MAX(whole, ?)"
            " WHERE study_instance_uid = ? AND series_instance_uid = ?",
            int(whole), study_instance_uid, series_instance_uid,
        )  # fmt: skip

    def idle(self, source: str) -> None:
        """Note that nothing is being fetched from a source, as after the end of a process that was at it."""
        self._db.execute("UPDATE prior_series SET fetching = 0 WHERE fetching AND source = ?", source)

    def expected(self, study_instance_uid: str, series_instance_uid: str, source: str) -> bool:
        """Whether a source is being asked for the series just now."""
        row = self._series(study_instance_uid, series_instance_uid)
        return row is not None and bool(row["fetching"]) and row["source"] == source

    def asked(self, study_instance_uid: str, series_instance_uid: str) -> bool:
        """Whether this node has asked for the series."""
        return self._series(study_instance_uid, series_instance_uid) is not None

    def whole(self, study_instance_uid: str, series_instance_uid: str) -> bool:
        """Whether all that a source listed of the series has come."""
        row = self._series(study_instance_uid, series_instance_uid)
        return row is not None and bool(row["whole"])

    def objects(self, study_instance_uid: str, series_instance_uid: str) -> set[str]:
        """SOP Instance UIDs of what has come of a series."""
        rows = self._db.rows(
            "SELECT sop_instance_uid FROM prior_object WHERE study_instance_uid = ? AND series_instance_uid = ?",
            study_instance_uid, series_instance_uid,
        )  # fmt: skip
        return {row[0] for row in rows}

    def has(self, arrival: Arrival) -> bool:
        """Whether exactly this content is here."""
        return (
            self._db.row(
                "SELECT 1 FROM prior_object WHERE study_instance_uid = ? AND sop_instance_uid = ? AND digest = ?",
                arrival.study_instance_uid, arrival.sop_instance_uid, arrival.digest,
            )
            is not None
        )  # fmt: skip

    def add(self, arrival: Arrival, path: str) -> None:
        """Add a kept object; another under the same UID gives way to it."""
        series = self._series(arrival.study_instance_uid, arrival.series_instance_uid)
        assert series is not None
        merged = arrival.header.merged()
        header: JsonAttributes = json.loads(series["header"]) if series["header"] else merged
        if not series["header"]:
            self._db.execute(
                "UPDATE prior_series SET header = ? WHERE study_instance_uid = ? AND series_instance_uid = ?",
                json.dumps(merged), arrival.study_instance_uid, arrival.series_instance_uid,
            )  # fmt: skip
        self._db.execute(
            "INSERT OR REPLACE INTO prior_object (study_instance_uid, series_instance_uid, sop_class_uid,"
            " sop_instance_uid, transfer_syntax_uid, digest, size_bytes, path, own, arrived_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            arrival.study_instance_uid, arrival.series_instance_uid, arrival.sop_class_uid, arrival.sop_instance_uid,
            arrival.transfer_syntax_uid, arrival.digest, arrival.size_bytes, path,
            json.dumps(differences(merged, header)), self._db.now(),
        )  # fmt: skip

    def load(self, study_instance_uid: str) -> Study:
        """The series of a study that have come whole, series and instances in order of arrival."""
        headers = {
            row["series_instance_uid"]: json.loads(row["header"])
            for row in self._db.rows(
                "SELECT * FROM prior_series WHERE study_instance_uid = ? AND header <> '' AND whole", study_instance_uid
            )
        }
        instances: dict[str, list[Instance]] = {}
        for row in self._db.rows(
            "SELECT * FROM prior_object WHERE study_instance_uid = ? ORDER BY object_id", study_instance_uid
        ):
            uid = row["series_instance_uid"]
            if uid in headers:
                instances.setdefault(uid, []).append(self._instance(row, headers[uid]))
        return Study(
            study_instance_uid=study_instance_uid, revision=1, calling_aet="", called_aet="", address="", peer="",
            series=tuple(Series(series_instance_uid=uid, instances=tuple(own)) for uid, own in instances.items()),
        )  # fmt: skip

    def size_bytes(self) -> int:
        """What all objects take together."""
        row = self._db.row("SELECT COALESCE(SUM(size_bytes), 0) FROM prior_object")
        return int(row[0]) if row else 0

    def unneeded(self, before: datetime | None = None) -> list[str]:
        """Studies that no search and no job needs, the longest untouched first; only those untouched since `before`."""
        rows = self._db.rows(_UNNEEDED)
        return [row[0] for row in rows if before is None or row["touched_at"] < to_text(before)]

    def remove(self, study_instance_uid: str) -> list[str]:
        """Forget a study; the files that may go now."""
        rows = self._db.rows("SELECT path FROM prior_object WHERE study_instance_uid = ?", study_instance_uid)
        for row in rows:
            self._db.execute("DELETE FROM job_prior_file WHERE path = ?", row["path"])
        self._db.execute("DELETE FROM prior_series WHERE study_instance_uid = ?", study_instance_uid)
        return [row["path"] for row in rows]

    def files(self, study_instance_uid: str) -> set[str]:
        """Files of a study that a row names, relative to the store."""
        rows = self._db.rows(
            "SELECT path FROM prior_object WHERE study_instance_uid = :uid UNION"
            " SELECT path FROM job_prior_file WHERE study_instance_uid = :uid",
            uid=study_instance_uid,
        )
        return {row[0] for row in rows}

    def _series(self, study_instance_uid: str, series_instance_uid: str) -> Row | None:
        return self._db.row(
            "SELECT * FROM prior_series WHERE study_instance_uid = ? AND series_instance_uid = ?",
            study_instance_uid, series_instance_uid,
        )  # fmt: skip

    def _instance(self, row: Row, series_header: JsonAttributes) -> Instance:
        return Instance(
            sop_instance_uid=row["sop_instance_uid"],
            sop_class_uid=row["sop_class_uid"],
            transfer_syntax_uid=row["transfer_syntax_uid"],
            digest=row["digest"],
            path=self._files.path(row["path"]),
            header=Header(series_header, json.loads(row["own"])),
        )
