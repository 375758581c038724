"""What a settled study's jobs have of earlier studies at once, from our own store, and what is still to be fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dicomnode.config import Settings
from dicomnode.domain.model import ModelSpec, Subject
from dicomnode.domain.prior import OWN_STORE, Prior
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Study
from dicomnode.flow.priors.choice import day_of, identity_of, newest, period, select, study_day
from dicomnode.flow.priors.use import prior_of
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Plan
from dicomnode.store.priors import Searches
from dicomnode.store.studies import Studies


def finds_lesions(spec: ModelSpec) -> bool:
    """Whether a model may find what can be held against earlier studies; organs are not."""
    return bool(spec.contours) or any(one.subject is not Subject.STRUCTURE for one in spec.segments)


class OwnPriors:
    """Looks through our own store; writes nothing."""

    def __init__(self, db: Database, files: Files, settings: Settings) -> None:
        self._rules = {rule.name: rule for rule in settings.rules if rule.priors is not None}
        self._models = settings.models.folder
        self._searches = Searches(db, files)
        self._studies = Studies(db, files)

    def equip(self, study: Study, plans: Sequence[Plan]) -> list[Plan]:
        """The same plans with the priors at hand, and with what their rules want of peers."""
        if not any(plan.rule in self._rules for plan in plans):
            return list(plans)
        bundles, _broken = find_bundles(self._models)
        equipped = []
        for plan in plans:
            rule, spec = self._rules.get(plan.rule), bundles.get(plan.model)
            if rule is not None and spec is not None and not plan.refusal and finds_lesions(spec):
                plan = replace(plan, wish=rule.priors, priors=self.of(study, rule, spec))
            equipped.append(plan)
        return equipped

    def of(self, study: Study, rule: Rule, spec: ModelSpec) -> tuple[Prior, ...]:
        """Earlier studies of the patient in our own store that a rule can use."""
        wish, day = rule.priors, study_day(study)
        patient = identity_of(study.series[0].header)
        if wish is None or day is None or OWN_STORE not in wish.sources or not patient.patient_id:
            return ()
        first, last = period(day, wish)
        stored = self._searches.earlier(str(study.series[0].header.first("PatientID")), study.study_instance_uid)
        days = {uid: at for uid, text in stored.items() if (at := day_of(text)) is not None and first <= at <= last}
        found: dict[str, Prior] = {}

        def fits(uid: str) -> bool:
            earlier = self._studies.load(uid)
            if earlier is None or not earlier.series:
                return False
            results = self._searches.results(uid, rule.name, rule.model)
            prior = prior_of(earlier, days[uid], OWN_STORE, rule=rule, spec=spec, patient=patient, results=results)
            if prior is not None:
                found[uid] = prior
            return prior is not None and not prior.remark

        chosen, left_out = select(days, wish.at_most, fits)
        # What nothing may be compared with takes no place, and the report says why.
        chosen += newest((uid for uid, prior in found.items() if prior.remark), days, wish.at_most)
        return tuple(replace(found[uid], newest_left_out=left_out) for uid in chosen)
