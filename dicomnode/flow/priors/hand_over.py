"""Hands what was fetched to the job that wanted it, or to the next run of its analysis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from dicomnode.domain.model import ModelSpec
from dicomnode.domain.prior import OWN_STORE, Prior
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Study
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.priors.choice import identity_of, study_day, united
from dicomnode.flow.priors.listing import counted
from dicomnode.flow.priors.use import prior_of
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.prior_sources import only_compares
from dicomnode.store.priors import Latest, Search, Searches, frozen
from dicomnode.store.scratch import Scratch


class HandOver:
    """Turns what came from one source into priors of a job."""

    def __init__(self, db: Database, files: Files, source: str) -> None:
        self._db = db
        self._files = files
        self._source = source
        self._searches = Searches(db, files)
        self._rows = Scratch(db, files)

    def given(self, latest: Latest) -> tuple[Prior, ...]:
        """The priors that the newest run of an analysis has."""
        return frozen(self._db, self._files, latest.job_id)

    def one(
        self, search: Search, latest: Latest, study: Study, rule: Rule, spec: ModelSpec,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:  # fmt: skip
        """Hand over what a search has found.

        A job that nobody has begun gets it at once. Where the analysis is under way or its results are, that comes
        first (`Searches.due`): the next run has to name the report that it replaces.
        """
        follows = self._source == OWN_STORE
        found = () if follows else search.found
        new = [
            replace(one, newest_left_out=search.newest_left_out)
            for uid in found
            if (one := self._prior(uid, study, rule, spec)) is not None
        ]
        failpoint("priors.before_commit")
        with self._db.transaction():
            # Another source may hand over to the same job, so what it has is read in here.
            if self._searches.latest(search.job_id) != latest or not (latest.untouched or latest.ended):
                return  # something happened meanwhile; the next step judges anew
            if follows and latest.job_id != search.job_id:
                words = f"job {latest.job_id} compares with them"
            else:
                # A run that was made while this source did not answer has said so, and claims less.
                late = search.failures > 0 and not (search.incomplete or search.newest_left_out)
                late = late and latest.job_id != search.job_id
                words = self._give(latest, study, new, rule, follows=follows, late=late)
                words = f"{words}; {search.reason}" if search.incomplete else words
            self._searches.leave(search, "done", words)
        failpoint("priors.after_commit")
        log.info("priors handed over", detail=words)

    def _give(
        self, latest: Latest, study: Study, new: Sequence[Prior], rule: Rule, *, follows: bool, late: bool
    ) -> str:
        """Give the newest run, or the next one, what it has and what is new; in words what was done.

        Parameters
        ----------
        follows
            Whether this is what the newest run has and did not compare with.
        late
            Whether the newest run was made while this source did not answer.
        """
        given = self.given(latest)
        kept = [one for one in given if one.files]
        priors = united((*kept, *new), rule.priors.at_most if rule.priors else 0)
        chosen = {one.study_instance_uid for one in priors}
        if not follows and chosen == {one.study_instance_uid for one in kept} and not (late and kept):
            return "no earlier study that this rule can use and does not have"
        lost = [one for one in given if not one.files and one.study_instance_uid not in chosen]
        job_id = latest.job_id
        if latest.untouched:
            self._searches.freeze(job_id, (*priors, *lost))
        elif latest.succeeded or only_compares(self._db, job_id):
            job_id = self._searches.rerun(job_id, (*priors, *lost))
        else:
            return "the study was not analysed, so there is nothing to compare"
        words = f"{counted(len(kept) if follows else len(new))} for job {job_id}"
        if not (follows or new):
            words = f"no further earlier study; job {job_id} compares again without that doubt"
        if not lost or rule.priors is None:
            return words
        # What was cleaned up since the run before is fetched again; until then the report says that it lacks.
        again = [source for source in rule.priors.peers if source in {one.source for one in lost} - {self._source}]
        self._searches.want(job_id, study.study_instance_uid, again, rule.priors.wait_seconds)
        return f"{words}; {len(lost)} no longer at hand" + (f", asked for again at {', '.join(again)}" if again else "")

    def _prior(self, uid: str, study: Study, rule: Rule, spec: ModelSpec) -> Prior | None:
        earlier = self._rows.load(uid)
        day, patient = study_day(earlier), identity_of(study.series[0].header)
        if not earlier.series or day is None:
            return None
        own = self._searches.own(one.sop_instance_uid for series in earlier.series for one in series.instances)
        return prior_of(earlier, day, self._source, rule=rule, spec=spec, patient=patient, made_here=own)
