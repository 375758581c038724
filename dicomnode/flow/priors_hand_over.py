"""Hands what was fetched to the job that wanted it, or to the next run of its analysis."""

from __future__ import annotations

from datetime import timedelta

import structlog

from dicomnode.domain.model import ModelSpec
from dicomnode.domain.prior import Prior
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Study
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.priors_choice import identity_of, study_day, united
from dicomnode.flow.priors_use import prior_of
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs
from dicomnode.store.priors import Latest, Search, Searches
from dicomnode.store.scratch import Scratch

#: How soon to look again whether the first result has gone out, so that its successor can name it.
_LOOK_SECONDS = 0.5


class HandOver:
    """Turns what came from one source into priors of a job."""

    def __init__(self, db: Database, files: Files, source: str) -> None:
        self._db = db
        self._source = source
        self._searches = Searches(db, files)
        self._rows = Scratch(db, files)
        self._jobs = Jobs(db, files)

    def given(self, latest: Latest) -> tuple[Prior, ...]:
        """The priors that the newest run of an analysis has."""
        job = self._jobs.load(latest.job_id)
        return job.priors if job else ()

    def one(
        self, search: Search, latest: Latest, study: Study, rule: Rule, spec: ModelSpec,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:  # fmt: skip
        """Hand over what a search has found.

        A job that nobody has begun gets it at once. Where the analysis is under way or its results are, that comes
        first: the next run has to name the report that it replaces.
        """
        if not (latest.untouched or latest.settled):
            self._look_again(search)
            return
        given = self.given(latest)
        new = [one for uid in search.found if (one := self._prior(uid, study, rule, spec)) is not None]
        priors = united((*given, *new), rule.priors.at_most if rule.priors else 0)
        more = {one.study_instance_uid for one in priors} != {one.study_instance_uid for one in given}
        failpoint("priors.before_commit")
        with self._db.transaction():
            now = self._searches.latest(search.job_id)
            if now != latest:
                return  # something happened meanwhile; the next step judges anew
            if not more:
                words = "no earlier study that this rule can use and does not have"
            elif latest.untouched:
                self._searches.freeze(latest.job_id, priors)
                words = f"{len(new)} earlier studies for job {latest.job_id}"
            elif latest.succeeded:
                words = f"{len(new)} earlier studies for job {self._searches.rerun(latest.job_id, priors)}"
            else:
                words = "the study was not analysed, so there is nothing to compare"
            self._searches.leave(search, "done", words)
        failpoint("priors.after_commit")
        log.info("priors handed over", detail=words)

    def _look_again(self, search: Search) -> None:
        soon = self._db.clock() + timedelta(seconds=_LOOK_SECONDS)
        with self._db.transaction():
            self._searches.put_off(search, search.reason, soon, failed=False)

    def _prior(self, uid: str, study: Study, rule: Rule, spec: ModelSpec) -> Prior | None:
        earlier = self._rows.load(uid)
        day, patient = study_day(earlier), identity_of(study.series[0].header)
        if not earlier.series or day is None:
            return None
        own = self._searches.own(one.sop_instance_uid for series in earlier.series for one in series.instances)
        return prior_of(earlier, day, self._source, rule=rule, spec=spec, patient=patient, made_here=own)
