"""What lies in the store, what of it is still owed, and how the rest is given up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from sqlite3 import Row

from dicomnode.domain.clock import from_text, to_text
from dicomnode.domain.retention import Freed, Kept, Terms
from dicomnode.store.database import Database

#: (in words, a query that counts it for the study :uid), each answered from an index by study. What somebody has to
#: end counts only while somebody does: nobody looks for priors at a source that was taken out of the configuration.
_OWED = (
    ("is receiving", "SELECT COUNT(*) FROM study WHERE study_instance_uid = :uid AND state = 'receiving'"),
    ("is held for an operator", "SELECT COUNT(*) FROM study WHERE study_instance_uid = :uid AND held <> ''"),
    ("is being sent to us", "SELECT COUNT(*) FROM association_study WHERE study_instance_uid = :uid"),
    ("has objects to be compared",
     "SELECT COUNT(*) FROM instance WHERE standing = 'undecided' AND study_instance_uid = :uid AND purged_at = ''"),
    ("jobs wait or run",
     "SELECT COUNT(*) FROM job WHERE study_instance_uid = :uid AND state IN ('waiting', 'running')"),
    ("deliveries wait or run",
     "SELECT COUNT(*) FROM delivery WHERE study_instance_uid = :uid AND state IN ('waiting', 'running')"),
    ("jobs failed lately",
     "SELECT COUNT(*) FROM job WHERE study_instance_uid = :uid AND state = 'failed' AND superseded = 0"
     " AND retracted = '' AND changed_at >= :failed_since"),
    ("deliveries failed lately",
     "SELECT COUNT(*) FROM delivery JOIN result USING (result_id) JOIN job ON job.job_id = delivery.job_id"
     " WHERE delivery.study_instance_uid = :uid AND delivery.state = 'failed' AND superseded = 0"
     " AND (retracted = '' OR occasion = 'withdrawal') AND purged_at = '' AND delivery.changed_at >= :failed_since"),
    ("results that nobody has confirmed",
     "SELECT COUNT(*) FROM delivery JOIN result USING (result_id) JOIN job ON job.job_id = delivery.job_id"
     " WHERE delivery.study_instance_uid = :uid AND delivery.state = 'done' AND confirmed_at = '' AND purged_at = ''"
     " AND (retracted = '' OR occasion = 'withdrawal') AND delivery.changed_at >= :delivered_since"
     " AND destination IN (SELECT value FROM json_each(:confirming))"),
    ("objects that no archive has confirmed",
     "SELECT COUNT(*) FROM instance WHERE study_instance_uid = :uid AND purged_at = ''"
     " AND EXISTS (SELECT 1 FROM study LEFT JOIN inputs_inquiry USING (study_instance_uid)"
     "  WHERE study.study_instance_uid = :uid AND last_arrival_at >= :inputs_since"
     "  AND last_arrival_at >= COALESCE(confirmed_at, ''))"),
    ("priors are looked for",
     "SELECT COUNT(*) FROM prior_search WHERE study_instance_uid = :uid AND state IN ('waiting', 'fetched')"
     " AND source IN (SELECT value FROM json_each(:sources))"),
    # A job that is done is followed by another with all of its priors while more of them are looked for.
    ("jobs compare with it",
     "SELECT COUNT(*) FROM job_prior JOIN job USING (job_id) WHERE job_prior.study_instance_uid = :uid"
     " AND (job.state IN ('waiting', 'running') OR EXISTS (SELECT 1 FROM prior_search"
     "  WHERE prior_search.job_id = job_prior.job_id AND prior_search.state IN ('waiting', 'fetched')"
     "  AND source IN (SELECT value FROM json_each(:sources))))"),
    ("requests for commitment to it",
     "SELECT COUNT(DISTINCT pledge_id) FROM pledge JOIN pledge_object USING (pledge_id)"
     " WHERE pledge.state IN ('waiting', 'ready') AND pledge_object.study_instance_uid = :uid"
     " AND peer IN (SELECT value FROM json_each(:requesting))"),
)  # fmt: skip

#: What is being done at this moment cannot be called off from outside, and what takes results back must not be.
_BUSY = (
    ("is being sent to us", "SELECT COUNT(*) FROM association_study WHERE study_instance_uid = :uid"),
    ("jobs run", "SELECT COUNT(*) FROM job WHERE study_instance_uid = :uid AND state = 'running'"),
    ("deliveries run", "SELECT COUNT(*) FROM delivery WHERE study_instance_uid = :uid AND state = 'running'"),
    ("withdrawals wait",
     "SELECT COUNT(*) FROM delivery JOIN result USING (result_id) WHERE study_instance_uid = :uid"
     " AND state = 'waiting' AND occasion = 'withdrawal'"),
    ("jobs compare with it",
     "SELECT COUNT(*) FROM job_prior JOIN job USING (job_id)"
     " WHERE job_prior.study_instance_uid = :uid AND job.state = 'running'"),
)  # fmt: skip

_INPUTS = (
    "SELECT COUNT(*) AS files, COALESCE(SUM(size_bytes), 0) AS size FROM instance"
    " WHERE study_instance_uid = ? AND purged_at = ''"
)
_RESULTS = (
    "SELECT COUNT(*) AS files, COALESCE(SUM(size_bytes), 0) AS size, MAX(result.created_at) AS made"
    " FROM job JOIN result USING (job_id) WHERE study_instance_uid = ? AND purged_at = ''"
)


class Retention:
    """The rows of what is kept. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def oldest(self) -> Iterator[str]:
        """Studies of which files are here, the longest quiet first."""
        return self._oldest("~", "~")

    def quiet(self, since: datetime | None, results_since: datetime | None) -> Iterator[str]:
        """Studies to which nothing came since `since`, and those that have results alone since `results_since`."""
        return self._oldest(to_text(since) if since else "", to_text(results_since) if results_since else "")

    def _oldest(self, before: str, results_before: str) -> Iterator[str]:
        rows = self._db.rows(
            "SELECT study_instance_uid FROM study WHERE last_arrival_at < :latest"
            " AND ((purged_at = '' AND last_arrival_at < :before) OR (purged_at <> ''"
            "  AND last_arrival_at < :results_before AND EXISTS (SELECT 1 FROM job JOIN result USING (job_id)"
            "   WHERE job.study_instance_uid = study.study_instance_uid AND result.purged_at = '')))"
            " ORDER BY last_arrival_at",
            latest=max(before, results_before), before=before, results_before=results_before,
        )  # fmt: skip
        for row in rows:
            yield row["study_instance_uid"]

    def kept(self, study_instance_uid: str, terms: Terms) -> Kept:
        """What is here of a study, since when, and what it owes."""
        uid = study_instance_uid
        study = self._row("SELECT state, changed_at, last_arrival_at FROM study WHERE study_instance_uid = ?", uid)
        jobs = self._db.rows("SELECT rule, MAX(changed_at) AS at FROM job WHERE study_instance_uid = ? GROUP BY 1", uid)
        sent = self._row("SELECT MAX(changed_at) AS at FROM delivery WHERE study_instance_uid = ?", uid)
        inputs, results = self._row(_INPUTS, uid), self._row(_RESULTS, uid)
        worked = max([study["changed_at"], study["last_arrival_at"], *(row["at"] for row in jobs)])
        return Kept(
            study_instance_uid=uid,
            state=study["state"],
            objects=inputs["files"],
            input_bytes=inputs["size"],
            results=results["files"],
            result_bytes=results["size"],
            inputs_since=from_text(worked) if inputs["files"] else None,
            results_since=from_text(max(results["made"], sent["at"] or "")) if results["files"] else None,
            rules=tuple(row["rule"] for row in jobs),
            owes=self.owes(uid, terms),
        )

    def owes(self, study_instance_uid: str, terms: Terms) -> tuple[str, ...]:
        """In words what keeps the files of a study from going."""
        return _in_words(self._counted(_OWED, study_instance_uid, terms))

    def first_owed(self, study_instance_uid: str, terms: Terms) -> str:
        """The first thing that keeps the files of a study from going, without how many there are; "" if nothing."""
        return next((words for words, _count in self._counted(_OWED, study_instance_uid, terms)), "")

    def busy(self, study_instance_uid: str, terms: Terms) -> tuple[str, ...]:
        """In words what of a study is not to be called off."""
        return _in_words(self._counted(_BUSY, study_instance_uid, terms))

    def give_up(self, study_instance_uid: str, why: str) -> None:
        """Close what a study still owes, because an operator removes its files all the same."""
        now, uid = self._db.now(), study_instance_uid
        self._db.execute(
            "UPDATE study SET state = 'abandoned', reason = ?, changed_at = ? WHERE study_instance_uid = ?"
            " AND state = 'receiving'",
            why, now, uid,
        )  # fmt: skip
        self._db.execute("UPDATE study SET held = '' WHERE study_instance_uid = ?", uid)
        for table in ("job", "delivery", "prior_search"):
            states = "('waiting', 'fetched')" if table == "prior_search" else "('waiting')"
            self._db.execute(
                f"UPDATE {table} SET state = 'cancelled', reason = ?, changed_at = ?"  # noqa: S608 - names of ours
                f" WHERE state IN {states} AND study_instance_uid = ?",
                why, now, uid,
            )  # fmt: skip

    def purge(self, study_instance_uid: str, why: str, *, inputs: bool, results: bool) -> Freed:
        """Give up files of a study, which are then for `Removals` to take away; what is given up."""
        uid, now, freed = study_instance_uid, self._db.now(), Freed()
        said = []
        if inputs:
            row = self._row(_INPUTS, uid)
            freed += Freed(files=row["files"], size_bytes=row["size"])
            said.append(f"{row['files']} objects")
            self._remove("SELECT path FROM instance WHERE study_instance_uid = ? AND purged_at = ''", uid)
            self._db.execute(
                "UPDATE instance SET purged_at = ?, returned = 0, given_up = '',"
                " standing = CASE standing WHEN 'current' THEN 'equal' ELSE standing END"
                " WHERE study_instance_uid = ? AND purged_at = ''",
                now, uid,
            )  # fmt: skip
            self._db.execute("UPDATE study SET purged_at = ? WHERE study_instance_uid = ?", now, uid)
        if results:
            row = self._row(_RESULTS, uid)
            freed += Freed(files=row["files"], size_bytes=row["size"])
            said.append(f"{row['files']} results")
            mine = "job_id IN (SELECT job_id FROM job WHERE study_instance_uid = ?) AND purged_at = ''"
            self._remove(f"SELECT path FROM result WHERE {mine}", uid)  # noqa: S608 - words of ours
            self._db.execute(f"UPDATE result SET purged_at = ? WHERE {mine}", now, uid)  # noqa: S608
        text = f"{' and '.join(said)}, {freed.size_bytes / (1 << 20):.1f} MiB: {why}"
        self._db.event(uid, "study", "", "files removed", text)
        return freed

    def _remove(self, paths: str, study_instance_uid: str) -> None:
        self._db.execute(f"INSERT INTO removal (path) {paths} ON CONFLICT DO NOTHING", study_instance_uid)
        # A job that was given one of them as a prior finds it cleaned up, and no file that is not there.
        self._db.execute(f"DELETE FROM job_prior_file WHERE path IN ({paths})", study_instance_uid)  # noqa: S608

    def _counted(
        self, questions: tuple[tuple[str, str], ...], study_instance_uid: str, terms: Terms
    ) -> Iterator[tuple[str, int]]:
        """What there is of it, each asked for when it is come to."""
        since = to_text(terms.delivered_since) if terms.delivered_since else ""
        values = {
            "uid": study_instance_uid,
            "failed_since": to_text(terms.failed_since),
            "delivered_since": since,
            # No time is as late as "~", so that no object waits for what is not asked.
            "inputs_since": since if terms.inputs_confirmed else "~",
            "confirming": json.dumps(sorted(terms.confirming)),
            "sources": json.dumps(sorted(terms.sources)),
            "requesting": json.dumps(sorted(terms.requesting)),
        }
        for words, sql in questions:
            count = self._row(sql, **values)[0]
            if count:
                yield words, count

    def _row(self, sql: str, *values: object, **named: object) -> Row:
        row = self._db.row(sql, *values, **named)
        assert row is not None, "no such study"
        return row


def _in_words(counted: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    return tuple(words if words.startswith(("is ", "has ")) else f"{count} {words}" for words, count in counted)
