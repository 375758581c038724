"""Searches for earlier studies, and what each job was given of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from sqlite3 import Row

from dicomnode.domain.clock import from_text, to_text
from dicomnode.domain.prior import CLEANED_UP, OWN_STORE, Prior, PriorFile, PriorKind, PriorWish
from dicomnode.domain.work import Job
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.prior_sources import newest_left_out

_DATE = "%Y%m%d"

#: What can be worked on at a source. Not what was fetched for an analysis whose newest run is under way or of which
#: something is still to be sent: its first result comes first. But once the time is up, one destination that has it is
#: enough. Nor what was fetched while a peer has the question that has not failed to answer, so that one comparison
#: knows of all; what our own store has goes last.
_DUE = (
    "SELECT prior_search.*, job.rule FROM prior_search JOIN job USING (job_id)"
    " WHERE prior_search.state IN ('waiting', 'fetched') AND source = :source AND next_try_at <= :now"
    " AND NOT (prior_search.state = 'fetched' AND EXISTS (SELECT 1 FROM job AS new"
    "  WHERE new.run = (SELECT MAX(run) FROM job AS any WHERE any.study_instance_uid = job.study_instance_uid"
    "   AND any.rule = job.rule AND any.input_digest = job.input_digest AND any.recipe_digest = job.recipe_digest)"
    "  AND new.study_instance_uid = job.study_instance_uid AND new.rule = job.rule"
    "  AND new.input_digest = job.input_digest AND new.recipe_digest = job.recipe_digest"
    "  AND NOT new.superseded AND new.retracted = '' AND (new.state = 'running'"
    "   OR (new.state = 'waiting' AND new.attempts > 0)"
    "   OR (new.state IN ('done', 'failed') AND (EXISTS (SELECT 1 FROM prior_search AS other JOIN job AS asked"
    "     ON asked.job_id = other.job_id WHERE other.study_instance_uid = job.study_instance_uid"
    "     AND (asked.rule, asked.input_digest, asked.recipe_digest) = (job.rule, job.input_digest, job.recipe_digest)"
    "     AND other.source NOT IN (prior_search.source, :store) AND other.give_up_at > :now"
    "     AND ((other.state = 'waiting' AND other.failures = 0)"
    "      OR (other.state = 'fetched' AND prior_search.source = :store)))"
    "    OR EXISTS (SELECT 1 FROM delivery WHERE delivery.job_id = new.job_id"
    "     AND delivery.state IN ('waiting', 'running') AND (prior_search.give_up_at > :now OR NOT EXISTS"
    "      (SELECT 1 FROM delivery AS sent WHERE sent.job_id = new.job_id AND sent.state = 'done'))))))))"
    " ORDER BY next_try_at, search_id LIMIT 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One job's wish for earlier studies at one peer.

    Attributes
    ----------
    fetched
        Whether everything that was found has come, so that it only has to be handed over.
    found
        Study Instance UIDs that were chosen.
    newest_left_out
        Day of the newest study that was found and left out, since the rule takes no more.
    incomplete
        Whether it was given up before all of these had come.
    """

    search_id: int
    job_id: int
    study_instance_uid: str
    rule: str
    source: str
    fetched: bool
    failures: int
    reason: str
    give_up_at: datetime
    found: tuple[str, ...]
    newest_left_out: date | None = None
    incomplete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The newest run of the analysis that a search belongs to.

    Attributes
    ----------
    current
        Whether it still speaks for the study: neither cancelled nor taken back, and no input of it replaced.
    untouched
        Whether nobody has begun it, so that it can still be given more.
    ended
        Whether it has its verdict.
    """

    job_id: int
    current: bool
    untouched: bool
    ended: bool
    succeeded: bool


class Searches:
    """The rows of searches and of what jobs were given. Methods that write expect `Database.transaction`."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    def begin(self, job_id: int, study_instance_uid: str, wish: PriorWish | None, at_hand: Sequence[Prior]) -> None:
        """Give a new job the priors at hand, and look for others at every peer; searches of earlier runs end."""
        self.freeze(job_id, at_hand)
        self._db.execute(
            "UPDATE prior_search SET state = 'cancelled', reason = 'the study is analysed anew', changed_at = ?"
            " WHERE state IN ('waiting', 'fetched') AND job_id IN (SELECT old.job_id FROM job AS old JOIN job AS new"
            "  USING (study_instance_uid, rule, frame_of_reference_uid)"
            "  WHERE new.job_id = ? AND old.job_id < new.job_id)",
            self._db.now(), job_id,
        )  # fmt: skip
        if wish is not None:
            self.want(job_id, study_instance_uid, wish.peers, wish.wait_seconds)

    def want(self, job_id: int, study_instance_uid: str, sources: Iterable[str], wait_seconds: float) -> None:
        """Look for priors of a job at these peers."""
        until = to_text(self._db.clock() + timedelta(seconds=wait_seconds))
        for source in sources:
            self._db.execute(
                "INSERT INTO prior_search (job_id, study_instance_uid, source, changed_at, give_up_at, next_try_at)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                job_id, study_instance_uid, source, self._db.now(), until, self._db.now(),
            )  # fmt: skip

    def follow(self, job: Job, wait_seconds: float) -> None:
        """Have the comparison with what a job was given made by the next run, once the first result has gone out.

        It waits no longer than that for destinations that do not answer, if one of them has it.
        """
        self.want(job.job_id, job.study_instance_uid, [OWN_STORE], wait_seconds)
        self._db.execute(
            "UPDATE prior_search SET state = 'fetched', found = ?, changed_at = ?,"
            " reason = 'at hand; compared in a run of its own once the first result has gone out'"
            " WHERE job_id = ? AND source = ?",
            json.dumps([one.study_instance_uid for one in job.priors]), self._db.now(), job.job_id, OWN_STORE,
        )  # fmt: skip

    def due(self, source: str) -> Search | None:
        """What can be worked on at a source now, the longest due first.

        What was fetched is due once it can be handed over, so that nobody has to look again and again.
        """
        row = self._db.row(_DUE, source=source, now=self._db.now(), store=OWN_STORE)
        if row is None:
            return None
        return Search(
            search_id=row["search_id"],
            job_id=row["job_id"],
            study_instance_uid=row["study_instance_uid"],
            rule=row["rule"],
            source=row["source"],
            fetched=row["state"] == "fetched",
            failures=row["failures"],
            reason=row["reason"],
            give_up_at=from_text(row["give_up_at"]),
            found=tuple(json.loads(row["found"])),
            newest_left_out=_day(row["newest_left_out"]),
            incomplete=bool(row["incomplete"]),
        )

    def rest(self, source: str, until: datetime) -> None:
        """Leave a peer that does not answer alone; what is wanted of it in vain until then has one more try."""
        self._db.execute(
            "UPDATE prior_search SET next_try_at = MIN(give_up_at, ?), failures = MAX(failures, 1)"
            " WHERE state = 'waiting' AND source = ?"
            " AND next_try_at < ? AND give_up_at > ?",
            to_text(until), source, to_text(until), self._db.now(),
        )  # fmt: skip

    def earlier(self, patient_id: str, study_instance_uid: str) -> dict[str, str]:
        """Other settled studies under a Patient ID in this store, with their Study Date as it came."""
        rows = self._db.rows(
            "SELECT study_instance_uid, MIN(json_extract(header, '$.\"00080020\".Value[0]')) AS day"
            " FROM series JOIN study USING (study_instance_uid)"
            " WHERE json_extract(header, '$.\"00100020\".Value[0]') = ? AND study_instance_uid <> ?"
            " AND state = 'settled' AND held = '' GROUP BY study_instance_uid",
            patient_id, study_instance_uid,
        )  # fmt: skip
        return {row["study_instance_uid"]: str(row["day"] or "") for row in rows}

    def results(self, study_instance_uid: str, rule: str, model: str) -> list[PriorFile]:
        """Masks and reports that the newest valid run of a rule has made of a study, as priors to others.

        Where it made none, those of the rule that last ran the same model: rules get other names.
        """
        found = self._results(study_instance_uid, rule)
        if found:
            return found
        last = self._db.row(
            "SELECT rule FROM job WHERE study_instance_uid = :uid AND model = :model AND state = 'done'"
            " AND superseded = 0 AND retracted = '' ORDER BY job_id DESC LIMIT 1",
            uid=study_instance_uid, model=model,
        )  # fmt: skip
        return self._results(study_instance_uid, last["rule"]) if last else []

    def _results(self, study_instance_uid: str, rule: str) -> list[PriorFile]:
        rows = self._db.rows(
            "SELECT result.* FROM result JOIN job USING (job_id) WHERE study_instance_uid = :uid AND rule = :rule"
            " AND state = 'done' AND superseded = 0 AND retracted = '' AND role = kind AND kind IN ('seg', 'sr')"
            " AND result.purged_at = ''"
            " AND job.run = (SELECT MAX(run) FROM job AS new WHERE new.study_instance_uid = job.study_instance_uid"
            "  AND new.rule = job.rule AND new.input_digest = job.input_digest AND new.state = 'done')"
            " ORDER BY result_id",
            uid=study_instance_uid, rule=rule,
        )  # fmt: skip
        return [
            PriorFile(
                kind=PriorKind.MASK if row["kind"] == "seg" else PriorKind.REPORT,
                series_instance_uid=row["series_instance_uid"],
                sop_class_uid=row["sop_class_uid"],
                sop_instance_uid=row["sop_instance_uid"],
                path=self._files.path(row["path"]),
                own=True,
            )
            for row in rows
        ]

    def own(self, sop_instance_uids: Iterable[str]) -> dict[str, bool]:
        """Which of these objects this node made → whether they still stand: not taken back, inputs not replaced."""
        rows = self._db.rows(
            "SELECT sop_instance_uid, superseded = 0 AND retracted = '' AS stands FROM result JOIN job USING (job_id)"
            " WHERE sop_instance_uid IN (SELECT value FROM json_each(?))",
            json.dumps(list(sop_instance_uids)),
        )
        return {row["sop_instance_uid"]: bool(row["stands"]) for row in rows}

    def choose(self, search: Search, found: Sequence[str], newest_left_out: date | None) -> None:
        """Note which studies are being fetched, so that nothing of them is cleaned up meanwhile."""
        self._db.execute(
            "UPDATE prior_search SET found = ?, newest_left_out = ? WHERE search_id = ?",
            json.dumps(list(found)), _text(newest_left_out), search.search_id,
        )  # fmt: skip

    def chosen(self, search: Search) -> tuple[str, ...]:
        """Which studies were being fetched last."""
        row = self._db.row("SELECT found FROM prior_search WHERE search_id = ?", search.search_id)
        return tuple(json.loads(row["found"])) if row else ()

    def leave(self, search: Search, state: str, reason: str, *, incomplete: bool = False) -> None:
        """Move on to `fetched`, `done`, `failed` or `cancelled`; once incomplete it stays so."""
        self._db.execute(
            "UPDATE prior_search SET state = ?, reason = ?, changed_at = ?, next_try_at = ?,"
            " incomplete = MAX(incomplete, ?) WHERE search_id = ?",
            state, reason, self._db.now(), self._db.now(), int(incomplete), search.search_id,
        )  # fmt: skip

    def renew(self, study_instance_uid: str) -> int:
        """Look again for what waiting jobs of a study were given and what was cleaned up since; how many searches.

        A peer has as long for it as it had the first time.
        """
        lost = self._db.rows(
            # Of the columns beside MIN, SQLite gives those of the row that holds it.
            "SELECT job.job_id, job_prior.source, give_up_at, old.created_at, MIN(first.search_id) FROM job"
            " JOIN job_prior USING (job_id) JOIN job AS old ON old.study_instance_uid = job.study_instance_uid"
            "  AND old.rule = job.rule AND old.input_digest = job.input_digest"
            " JOIN prior_search AS first ON first.job_id = old.job_id AND first.source = job_prior.source"
            " WHERE job.study_instance_uid = ? AND job.state = 'waiting' AND job.attempts = 0"
            " AND job_prior.source <> ?"
            " AND NOT EXISTS (SELECT 1 FROM job_prior_file AS file WHERE file.job_id = job.job_id"
            "  AND file.study_instance_uid = job_prior.study_instance_uid)"
            " GROUP BY job.job_id, job_prior.source",
            study_instance_uid, OWN_STORE,
        )  # fmt: skip
        for row in lost:
            self._db.execute("DELETE FROM prior_search WHERE job_id = ? AND source = ?", row["job_id"], row["source"])
            wait = from_text(row["give_up_at"]) - from_text(row["created_at"])
            self.want(row["job_id"], study_instance_uid, [row["source"]], wait.total_seconds())
        return len(lost)

    def cancel(self, study_instance_uid: str) -> int:
        """Look for no more priors of a study; how many searches that ended."""
        return self._db.execute(
            "UPDATE prior_search SET state = 'cancelled', reason = 'by an operator', changed_at = ?"
            " WHERE state IN ('waiting', 'fetched') AND study_instance_uid = ?",
            self._db.now(), study_instance_uid,
        )  # fmt: skip

    def put_off(self, search: Search, reason: str, until: datetime, *, failed: bool) -> None:
        """Try again later; a reason that is new is told in the study's story."""
        self._db.execute(
            "UPDATE prior_search SET reason = ?, next_try_at = ?, failures = failures + ? WHERE search_id = ?",
            reason, to_text(until), int(failed), search.search_id,
        )  # fmt: skip
        if reason and reason != search.reason:
            place = f"job {search.job_id} at {search.source}"
            self._db.event(search.study_instance_uid, "prior", place, "not yet", reason)

    def latest(self, job_id: int) -> Latest:
        """The newest run of the analysis of which `job_id` is one."""
        row = self._db.row(
            "SELECT new.* FROM job AS new JOIN job AS old USING (study_instance_uid, rule, input_digest, recipe_digest)"
            " WHERE old.job_id = ? ORDER BY new.run DESC LIMIT 1",
            job_id,
        )
        assert row is not None
        return Latest(
            job_id=row["job_id"],
            current=row["state"] != "cancelled" and not row["superseded"] and not row["retracted"],
            untouched=row["state"] == "waiting" and row["attempts"] == 0,
            ended=row["state"] in {"done", "failed"},
            succeeded=row["state"] != "failed",
        )

    def freeze(self, job_id: int, priors: Sequence[Prior]) -> None:
        """Give a job these priors instead of those that it had."""
        self._db.execute("DELETE FROM job_prior WHERE job_id = ?", job_id)
        for prior in priors:
            self._db.execute(
                "INSERT INTO job_prior (job_id, study_instance_uid, study_date, source, remark, newest_left_out)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                job_id, prior.study_instance_uid, prior.study_date.strftime(_DATE), prior.source, prior.remark,
                _text(prior.newest_left_out),
            )  # fmt: skip
            for position, file in enumerate(prior.files):
                # What was chosen from our own store may have been removed since to make room.
                self._db.execute(
                    "INSERT INTO job_prior_file SELECT :job, :study, :position, :kind, :input, :own, :series, :class,"
                    " :uid, :path WHERE NOT EXISTS (SELECT 1 FROM instance"
                    "  WHERE study_instance_uid = :study AND path = :path AND purged_at <> '')"
                    " AND NOT EXISTS (SELECT 1 FROM result WHERE sop_instance_uid = :uid AND purged_at <> '')",
                    job=job_id, study=prior.study_instance_uid, position=position, kind=file.kind, input=file.input,
                    own=int(file.own), series=file.series_instance_uid, uid=file.sop_instance_uid,
                    path=str(file.path.relative_to(self._files.folder)), **{"class": file.sop_class_uid},
                )  # fmt: skip

    def rerun(self, job_id: int, priors: Sequence[Prior]) -> int:
        """Repeat an analysis with these priors as its next run; the new job."""
        row = self._db.row("SELECT * FROM job WHERE job_id = ?", job_id)
        assert row is not None
        # First results of other studies go before what only adds to one.
        anew = {
            "priority": row["priority"] - 1, "state": "waiting", "reason": "", "run": row["run"] + 1, "attempts": 0,
            "lease": "", "lease_expires_at": "", "deadline_at": "", "changed_at": self._db.now(),
            "created_at": self._db.now(), "not_before": self._db.now(),
        }  # fmt: skip
        kept = {key: row[key] for key in row.keys() if key != "job_id"}  # noqa: SIM118 - rows of sqlite3 iterate values
        columns = {**kept, **anew}
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        new = self._db.insert(f"INSERT INTO job ({names}) VALUES ({marks})", *columns.values())  # noqa: S608
        self._db.execute(
            "INSERT INTO job_input SELECT ?, position, input, instance_id FROM job_input WHERE job_id = ?", new, job_id
        )
        self.freeze(new, priors)
        return new


def frozen(db: Database, files: Files, job_id: int) -> tuple[Prior, ...]:
    """The priors that a job was given, the oldest first; one whose files were cleaned up since says so."""
    members: dict[str, list[PriorFile]] = {}
    for row in db.rows("SELECT * FROM job_prior_file WHERE job_id = ? ORDER BY position", job_id):
        members.setdefault(row["study_instance_uid"], []).append(_file(row, files))
    rows = db.rows("SELECT * FROM job_prior WHERE job_id = ? ORDER BY study_date, study_instance_uid", job_id)
    left_out = newest_left_out(db, job_id)
    return tuple(
        Prior(
            study_instance_uid=row["study_instance_uid"],
            study_date=date.fromisoformat(row["study_date"]),
            source=row["source"],
            files=tuple(members.get(row["study_instance_uid"], ())),
            remark=row["remark"] if row["study_instance_uid"] in members else _gone(row["source"]),
            newest_left_out=_day(max(row["newest_left_out"], left_out)),
        )
        for row in rows
    )


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _text(day: date | None) -> str:
    return day.strftime(_DATE) if day else ""


def _gone(source: str) -> str:
    whose = "what our own store had of it" if source == OWN_STORE else f"what was fetched from {source}"
    return f"{CLEANED_UP}: {whose} was cleaned up"


def _file(row: Row, files: Files) -> PriorFile:
    return PriorFile(
        kind=PriorKind(row["kind"]),
        series_instance_uid=row["series_instance_uid"],
        sop_class_uid=row["sop_class_uid"],
        sop_instance_uid=row["sop_instance_uid"],
        path=files.path(row["path"]),
        input=row["input"],
        own=bool(row["own"]),
    )
