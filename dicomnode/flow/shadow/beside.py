"""Tries candidates on what has been analysed, when there is nothing else to do, and gives way at once."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event

import structlog

from dicomnode.config import Settings
from dicomnode.domain.errors import OutOfResources
from dicomnode.domain.work import Job
from dicomnode.flow.loop import wait_for_change
from dicomnode.flow.recipe import recipe_digest
from dicomnode.flow.shadow.compare import Answer, Task, answer
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs
from dicomnode.store.shadow import ShadowRun, Shadows
from dicomnode.store.waiting import any_may_run

_log = structlog.get_logger(__name__)

#: A candidate that ends its process is not tried a third time: it would keep the machine busy with nothing.
_MOST_ATTEMPTS = 2

#: How soon it is seen that a comparison is done or that something else goes first.
_LOOK_SECONDS = 0.2


class Shadow:
    """Does one comparison at a time. What goes wrong with one is written beside it, and nowhere else."""

    def __init__(self, db: Database, files: Files, settings: Settings, stop: Event) -> None:
        self._db, self._settings, self._stop = db, settings, stop
        self._jobs, self._shadows = Jobs(db, files), Shadows(db)
        self._rules = {rule.name: rule for rule in settings.rules if rule.shadow_model and rule.enabled}
        self._noted = False

    def run_once(self) -> bool:
        """Do one comparison, if one is owed; whether there was one and nothing else goes first."""
        try:
            run = self._next()
            if run is None:
                return False
            said = self._answer(run)
            with self._db.transaction():
                if said is None:
                    self._shadows.put_back(run.shadow_id)
                elif said.failed:
                    self._shadows.fail(run.shadow_id, said.failed)
                else:
                    self._shadows.finish(
                        run.shadow_id, said.version, said.model_seconds, said.candidate_seconds, said.differences
                    )
        except OutOfResources as error:
            _log.error("nothing compared in shadow", reason=str(error))
            return False
        if said is not None:
            _log.info("compared in shadow", job=run.job_id, candidate=run.candidate, failed=said.failed)
        return True

    def _next(self) -> ShadowRun | None:
        if self._noted and not self._rules:
            return None
        if not self._noted:
            with self._db.transaction():
                self._shadows.on_trial((name, rule.shadow_model) for name, rule in self._rules.items())
            self._noted = True
        # Asked whenever there is nothing else to do: the lock that arrivals wait for is taken where something is due.
        if self._shadows.any_to_give_up(_MOST_ATTEMPTS):
            with self._db.transaction():
                self._shadows.given_up(_MOST_ATTEMPTS)
        owed = self._shadows.owed(_MOST_ATTEMPTS)
        if owed is None:
            return None
        with self._db.transaction():
            shadow_id = self._shadows.begin(*owed)
            return None if shadow_id is None else self._shadows.begun(shadow_id)

    def _answer(self, run: ShadowRun) -> Answer | None:
        """What came of it; None when something else went first."""
        job = self._jobs.load(run.job_id)
        if job is None:
            return Answer(failed="its job is gone")
        if changed := self._changed(job):
            return Answer(failed=changed)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=answer, args=(self._task(job, run), theirs), name="shadow", daemon=True)
        process.start()
        theirs.close()
        try:
            return self._waited(process, ours)
        finally:
            process.kill()
            process.join()
            ours.close()

    def _waited(self, process: BaseProcess, line: Connection) -> Answer | None:
        seen = self._db.data_version()
        while not line.poll():
            if self._stop.is_set() or any_may_run(self._db):
                return None
            seen = wait_for_change(self._db, self._stop, seen, _LOOK_SECONDS)
        try:
            said = line.recv()
        except EOFError:
            process.join()
            return Answer(failed=f"its process ended without an answer (status {process.exitcode})")
        assert isinstance(said, Answer)
        return said

    def _changed(self, job: Job) -> str:
        """Why what would be compared is not what was delivered, or ""."""
        rule = self._rules.get(job.rule)
        spec = find_bundles(self._settings.models.folder)[0].get(job.model)
        if rule is None or spec is None or recipe_digest(rule, spec) != job.recipe_digest:
            return f"rule {job.rule} or model {job.model} was changed since the result was made"
        return ""

    def _task(self, job: Job, run: ShadowRun) -> Task:
        inputs: dict[str, list[Path]] = {}
        for one in job.inputs:
            inputs.setdefault(one.input, []).append(one.path)
        return Task(
            models=self._settings.models.folder, model=job.model, candidate=run.candidate, inputs=inputs,
            corrections=job.corrections, threads=self._settings.work.threads, device=self._settings.work.device,
            scratch=self._settings.store.folder, started_at=self._db.clock(),
        )  # fmt: skip
