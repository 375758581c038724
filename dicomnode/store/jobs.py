"""Jobs: what a settled study owes its rules, who is working on it, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from sqlite3 import Row

from dicomnode.domain.clock import from_text, to_text
from dicomnode.domain.errors import LeaseLost
from dicomnode.domain.finding import PriorReport
from dicomnode.domain.prior import Prior, PriorWish
from dicomnode.domain.study import Instance
from dicomnode.domain.work import Job, JobInput, Occasion
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.identity import Corrections
from dicomnode.store.priors import Searches, frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A job that a settled study shall have.

    Attributes
    ----------
    series_instance_uid
        The series of the model's first input.
    inputs
        Name of an input of the model → the objects that feed it.
    wish, priors
        Which earlier studies shall still be fetched, and those that are at hand.
    """

    rule: str
    model: str
    series_instance_uid: str
    frame_of_reference_uid: str
    inputs: Mapping[str, Sequence[Instance]]
    input_digest: str
    recipe_digest: str
    priority: int
    outputs: tuple[str, ...]
    destinations: tuple[str, ...]
    refusal: str = ""
    research: bool = True
    deadline_seconds: float = 0.0
    wish: PriorWish | None = None
    priors: tuple[Prior, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A result object as kept by the store, ready to be committed.

    Attributes
    ----------
    kind, refers_to, occasion
        As in `domain.work.Form`.
    only_for
        Name of the one destination that it was made for; empty for any.
    """

    role: str
    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    digest: str
    size_bytes: int
    path: str
    refers_to: str = ""
    occasion: str = Occasion.RESULT
    only_for: str = ""


class Jobs:
    """The rows of jobs and results. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    def add(
        self, study_instance_uid: str, revision: int, plans: Sequence[Plan], *, forced: bool, received: str = ""
    ) -> list[int]:
        """Make the jobs of a settled study; a plan that was already carried out makes none unless forced.

        Jobs of earlier revisions whose inputs a plan replaces are cancelled, with the deliveries that still wait.
        `received` says how complete the study is.
        """
        made = []
        self._fence_replaced(study_instance_uid)
        for plan in plans:
            self._supersede(study_instance_uid, plan)
            run = self._next_run(study_instance_uid, plan, forced=forced)
            job_id = self._db.insert(
                "INSERT INTO job (study_instance_uid, changed_at, created_at, revision, rule, model,"
                " series_instance_uid, frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs,"
                " destinations, refusal, not_before, research, received, deadline_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                study_instance_uid, self._db.now(), self._db.now(), revision, plan.rule, plan.model,
                plan.series_instance_uid, plan.frame_of_reference_uid, plan.input_digest, plan.recipe_digest, run,
                plan.priority, json.dumps(plan.outputs), json.dumps(plan.destinations), plan.refusal, self._db.now(),
                int(plan.research), received, self._deadline(plan),
            )  # fmt: skip
            if job_id:
                made.append(job_id)
                self._freeze(study_instance_uid, job_id, plan)
                Searches(self._db, self._files).begin(job_id, study_instance_uid, plan.wish, plan.priors)
        self._cancel_fenced(study_instance_uid)
        return made

    def claim(self, worker: str, lease: timedelta) -> Job | None:
        """Take the most urgent job that may run now, or None.

        A job whose lease has run out is claimed again. Nothing of a study that is receiving again is claimed,
        since its inputs may be about to change. What was put off at a time that is yet to come is put off no longer:
        the clock was set back.
        """
        now = self._db.now()
        self._db.execute(
            "UPDATE job SET state = 'waiting', reason = 'lease ran out', changed_at = ?, lease = ''"
            " WHERE state = 'running' AND lease_expires_at < ?",
            now, now,
        )  # fmt: skip
        claimed = self._db.rows(
            "UPDATE job SET state = 'running', reason = 'by ' || :worker, changed_at = :now, attempts = attempts + 1,"
            " lease = :worker, lease_expires_at = :expires"
            " WHERE job_id = (SELECT job_id FROM job JOIN study USING (study_instance_uid)"
            "  WHERE job.state = 'waiting' AND (job.not_before <= :now OR job.changed_at > :now)"
            "  AND study.state <> 'receiving' AND study.held = ''"
            "  AND job.model NOT IN (SELECT model FROM disabled_model)"
            "  ORDER BY job.priority DESC, job.job_id LIMIT 1)"
            " RETURNING job_id",
            worker=worker, now=now, expires=to_text(self._db.clock() + lease),
        )  # fmt: skip
        return self.load(claimed[0]["job_id"]) if claimed else None

    def load(self, job_id: int) -> Job | None:
        """One job with its frozen inputs."""
        row = self._db.row("SELECT * FROM job WHERE job_id = ?", job_id)
        return None if row is None else self._job(row)

    def heartbeat(self, worker: str, lease: timedelta) -> None:
        """Prolong what a living worker holds; written by its supervisor."""
        self._db.execute(
            "UPDATE job SET lease_expires_at = ? WHERE state = 'running' AND lease = ?",
            to_text(self._db.clock() + lease), worker,
        )  # fmt: skip

    def hand_back(self, worker: str, why: str, *, counts: bool) -> int:
        """Let another worker have what this one holds; how many jobs that were."""
        return self._db.execute(
            "UPDATE job SET state = 'waiting', reason = ?, changed_at = ?, lease = '', attempts = attempts - ?"
            " WHERE state = 'running' AND lease LIKE ?",
            why, self._db.now(), 0 if counts else 1, worker,
        )  # fmt: skip

    def finish(self, job: Job, made: Sequence[Made], reason: str) -> None:
        """The job is done and has made these results.

        Raises
        ------
        LeaseLost
            If the job is no longer this worker's, or its inputs were replaced meanwhile.
        """
        self._fence(job)
        self._leave(job, "done", reason)
        self.add_results(job.job_id, made)

    def fail(self, job: Job, made: Sequence[Made], reason: str) -> None:
        """The job will not succeed; what is told to the reader is among `made`. Raises as `finish` does."""
        self._fence(job)
        self._leave(job, "failed", reason)
        self.add_results(job.job_id, made)

    def add_results(self, job_id: int, made: Sequence[Made]) -> None:
        """Note what was made; what is there already stays."""
        for result in made:
            # A refused job that is tried again and refused again has told its reader already.
            self._db.execute(
                "INSERT INTO result (job_id, role, kind, refers_to, sop_class_uid, sop_instance_uid,"
                " series_instance_uid, transfer_syntax_uid, digest, size_bytes, path, created_at, occasion, only_for)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sop_instance_uid) DO NOTHING",
                job_id, result.role, result.kind, result.refers_to, result.sop_class_uid,
                result.sop_instance_uid, result.series_instance_uid,
                result.transfer_syntax_uid, result.digest, result.size_bytes, result.path, self._db.now(),
                result.occasion, result.only_for,
            )  # fmt: skip

    def put_off(self, job: Job, reason: str, wait: timedelta, *, counts: bool) -> None:
        """Try again after `wait`; an attempt that says nothing about the job does not count. Raises as `finish`."""
        self._fence(job)
        self._db.execute(
            "UPDATE job SET state = 'waiting', reason = ?, changed_at = ?, lease = '', not_before = ?,"
            " attempts = attempts - ? WHERE job_id = ?",
            reason, self._db.now(), to_text(self._db.clock() + wait), 0 if counts else 1, job.job_id,
        )  # fmt: skip

    def cancel_superseded(self, job: Job) -> None:
        """Close a running job whose inputs were replaced."""
        if self._held_row(job, superseded=1) is not None:
            self._drop(job, "inputs were replaced")

    def drop_outdated(self, job: Job, reason: str) -> None:
        """Close a running job that a new settling will replace. Raises as `finish`."""
        self._fence(job)
        self._drop(job, reason)

    def requeue(self, study_instance_uid: str) -> int:
        """Let the failed jobs of a study run again; how many.

        Not those that were refused when the study settled or whose inputs were replaced: only a new settling
        (`Studies.reopen`) can tell whether the reason is gone. Nor what was retracted. A missed deadline is not told
        of again.
        """
        now = self._db.now()
        return self._db.execute(
            "UPDATE job SET state = 'waiting', reason = 'by an operator', changed_at = ?, attempts = 0, not_before = ?,"
            " deadline_at = '' WHERE state = 'failed' AND refusal = '' AND superseded = 0 AND retracted = ''"
            " AND study_instance_uid = ?",
            now, now, study_instance_uid,
        )  # fmt: skip

    def cancel(self, study_instance_uid: str) -> int:
        """Cancel what still waits; how many jobs."""
        return self._db.execute(
            "UPDATE job SET state = 'cancelled', reason = 'by an operator', changed_at = ?"
            " WHERE state = 'waiting' AND study_instance_uid = ?",
            self._db.now(), study_instance_uid,
        )  # fmt: skip

    def predecessor(self, job: Job) -> PriorReport | None:
        """The newest report on the same study, rule and frame of reference that each destination has, in one.

        Destinations have it in different forms, and some may have an older one alone; the newest is named first. Also
        the one that tells of this job's missed deadline, if it is on its way just now. What was taken back is none.
        """
        rows = self._db.rows(
            "SELECT result.*, job.study_instance_uid, MAX(result_id) AS newest FROM delivery"
            " JOIN result USING (result_id) JOIN job ON job.job_id = result.job_id"
            " WHERE kind IN ('sr', 'refusal') AND job.study_instance_uid = ? AND rule = ?"
            " AND frame_of_reference_uid = (SELECT frame_of_reference_uid FROM job WHERE job_id = ?)"
            " AND NOT (result.job_id = ? AND kind = 'sr') AND (retracted = '' OR occasion = 'withdrawal')"
            " AND (delivery.state = 'done' OR (delivery.state = 'running' AND occasion = 'overdue'))"
            # Of the columns beside MAX, SQLite gives those of the row that holds it.
            " GROUP BY destination ORDER BY newest DESC",
            job.study_instance_uid, job.rule, job.job_id, job.job_id,
        )  # fmt: skip
        found = [
            PriorReport(
                study_instance_uid=row["study_instance_uid"],
                series_instance_uid=row["series_instance_uid"],
                sop_class_uid=row["sop_class_uid"],
                sop_instance_uid=row["sop_instance_uid"],
            )
            for row in {row["newest"]: row for row in rows}.values()
        ]
        return replace(found[0], others=tuple(found[1:])) if found else None

    def is_own(self, sop_instance_uid: str) -> bool:
        """Whether this node made the object."""
        return self._db.row("SELECT 1 FROM result WHERE sop_instance_uid = ?", sop_instance_uid) is not None

    def files(self, study_instance_uid: str) -> set[str]:
        """The files of a study's results, relative to the store."""
        sql = "SELECT path FROM job JOIN result USING (job_id) WHERE purged_at = '' AND study_instance_uid = ?"
        rows = self._db.rows(sql, study_instance_uid)
        return {row["path"] for row in rows}

    # ---- inside

    def _fence_replaced(self, study_instance_uid: str) -> None:
        """Fence jobs with an input that another object has replaced, also where their rule no longer applies."""
        self._db.execute(
            "UPDATE job SET superseded = 1 WHERE study_instance_uid = ? AND superseded = 0 AND EXISTS"
            " (SELECT 1 FROM job_input JOIN instance USING (instance_id)"
            "  WHERE job_input.job_id = job.job_id AND standing = 'replaced')",
            study_instance_uid,
        )

    def _supersede(self, study_instance_uid: str, plan: Plan) -> None:
        """Fence the jobs whose inputs `plan` extends or exchanges, and what waits to do what `plan` refuses."""
        self._db.execute(
            "UPDATE job SET superseded = 1 WHERE study_instance_uid = :uid AND rule = :rule"
            " AND frame_of_reference_uid = :frame AND (input_digest <> :inputs"
            "  OR (state = 'waiting' AND :refusal <> '' AND refusal <> :refusal))",
            uid=study_instance_uid, rule=plan.rule, frame=plan.frame_of_reference_uid, inputs=plan.input_digest,
            refusal=plan.refusal,
        )  # fmt: skip

    def _cancel_fenced(self, study_instance_uid: str) -> None:
        """Cancel what of the fenced jobs still waits; what runs finds the fence at its commit."""
        self._db.execute(
            "UPDATE job SET state = 'cancelled', reason = 'inputs were replaced', changed_at = ?"
            " WHERE state = 'waiting' AND superseded = 1 AND study_instance_uid = ?",
            self._db.now(), study_instance_uid,
        )  # fmt: skip
        self._db.execute(
            "UPDATE delivery SET state = 'cancelled', reason = 'inputs were replaced', changed_at = ?"
            " WHERE state = 'waiting' AND job_id IN"
            " (SELECT job_id FROM job WHERE superseded = 1 AND study_instance_uid = ?)"
            " AND (SELECT occasion FROM result WHERE result.result_id = delivery.result_id) <> 'withdrawal'",
            self._db.now(), study_instance_uid,
        )  # fmt: skip

    def _next_run(self, study_instance_uid: str, plan: Plan, *, forced: bool) -> int:
        """1 for what was never analysed; one more than the last run if that one no longer speaks for these inputs.

        So it is when a run is forced, when the last was superseded since, and when it was refused for a reason that is
        gone, such as instances that disagreed.
        """
        row = self._db.row(
            "SELECT run, superseded, refusal FROM job WHERE study_instance_uid = ? AND rule = ? AND input_digest = ?"
            " AND recipe_digest = ? ORDER BY run DESC LIMIT 1",
            study_instance_uid, plan.rule, plan.input_digest, plan.recipe_digest,
        )  # fmt: skip
        if row is None:
            return 1
        outdated = forced or row["superseded"] or row["refusal"] != plan.refusal
        return int(row["run"]) + (1 if outdated else 0)

    def _freeze(self, study_instance_uid: str, job_id: int, plan: Plan) -> None:
        pairs = [(name, instance) for name, instances in plan.inputs.items() for instance in instances]
        for position, (name, instance) in enumerate(pairs):
            self._db.execute(
                "INSERT INTO job_input SELECT ?, ?, ?, instance_id FROM instance"
                " WHERE study_instance_uid = ? AND sop_instance_uid = ? AND digest = ?",
                job_id, position, name, study_instance_uid, instance.sop_instance_uid, instance.digest,
            )  # fmt: skip

    def _held_row(self, job: Job, *, superseded: int) -> Row | None:
        return self._db.row(
            "SELECT 1 FROM job WHERE job_id = ? AND state = 'running' AND lease = ? AND superseded = ?",
            job.job_id, job.lease, superseded,
        )  # fmt: skip

    def _drop(self, job: Job, reason: str) -> None:
        """Cancel a running job, by the two arrows that lead there."""
        for state in ("waiting", "cancelled"):
            self._db.execute(
                "UPDATE job SET state = ?, reason = ?, changed_at = ?, lease = '', superseded = 1 WHERE job_id = ?",
                state, reason, self._db.now(), job.job_id,
            )  # fmt: skip

    def _fence(self, job: Job) -> None:
        if self._held_row(job, superseded=0) is None:
            raise LeaseLost(f"job {job.job_id}: no longer held by {job.lease}, or its inputs were replaced")

    def _leave(self, job: Job, state: str, reason: str) -> None:
        self._db.execute(
            "UPDATE job SET state = ?, reason = ?, changed_at = ?, lease = '' WHERE job_id = ?",
            state, reason, self._db.now(), job.job_id,
        )  # fmt: skip

    def _deadline(self, plan: Plan) -> str:
        if not plan.deadline_seconds:
            return ""
        return to_text(self._db.clock() + timedelta(seconds=plan.deadline_seconds))

    def _job(self, row: Row) -> Job:
        inputs = self._db.rows(
            "SELECT input, sop_instance_uid, digest, path FROM job_input JOIN instance USING (instance_id)"
            " WHERE job_id = ? ORDER BY position",
            row["job_id"],
        )
        return Job(
            job_id=row["job_id"],
            study_instance_uid=row["study_instance_uid"],
            revision=row["revision"],
            rule=row["rule"],
            model=row["model"],
            series_instance_uid=row["series_instance_uid"],
            input_digest=row["input_digest"],
            recipe_digest=row["recipe_digest"],
            run=row["run"],
            inputs=tuple(
                JobInput(
                    input=found["input"],
                    sop_instance_uid=found["sop_instance_uid"],
                    digest=found["digest"],
                    path=self._files.path(found["path"]),
                )
                for found in inputs
            ),
            destinations=tuple(json.loads(row["destinations"])),
            outputs=tuple(json.loads(row["outputs"])),
            refusal=row["refusal"],
            attempts=row["attempts"],
            lease=row["lease"],
            created_at=from_text(row["created_at"]),
            priors=frozen(self._db, self._files, row["job_id"]),
            corrections=Corrections(self._db).of(row["study_instance_uid"]).corrections,
            research=bool(row["research"]),
            received=row["received"],
        )
