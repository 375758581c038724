"""What the rules make of a study: the jobs it shall have, and in words why each rule did or did not apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from dicomnode.config import Settings
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.rule import Rule, Use
from dicomnode.domain.study import Series, Study
from dicomnode.flow.address import destinations
from dicomnode.flow.hold import explain, hold
from dicomnode.flow.models.standing import held_for, not_accepted
from dicomnode.flow.priors.own import OwnPriors
from dicomnode.flow.recipe import input_digest, recipe_digest
from dicomnode.flow.round_trip.ticket import rules_for
from dicomnode.flow.shadow.rules import live
from dicomnode.flow.stacks import in_stacks
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.route.contours import no_contours
from dicomnode.route.inputs import feeds, unknown_inputs
from dicomnode.route.select import frame_of, preference
from dicomnode.store.database import Database
from dicomnode.store.jobs import Plan

#: What a rule's name stands beside in the study's story: (rule, words).
Considered = tuple[str, str]


class Planner:
    """Holds the rules against a study. Reads the bundles, which may change while the node runs, and writes nothing.

    Parameters
    ----------
    own
        Finds the priors at hand for rules that compare; None finds none.
    db
        Knows which models were accepted and which are disabled; None knows none.
    """

    def __init__(self, settings: Settings, own: OwnPriors | None = None, db: Database | None = None) -> None:
        self._settings, self._own, self._db = settings, own, db

    def plan(
        self, study: Study, now: datetime, *, refusal: str = "", forced: bool = False
    ) -> tuple[list[Plan], list[Considered]]:
        """Jobs for a settled study, and the story of every rule.

        Parameters
        ----------
        refusal
            Why nothing of this study may be analysed; every matching rule then tells the reader so.
        forced
            Somebody asked for this study by hand, so its age does not matter.
        """
        if not forced and (too_old := self._too_old(study, now)):
            return [], [("all rules", too_old)]
        plans: list[Plan] = []
        considered: list[Considered] = []
        bundles, broken = find_bundles(self._settings.models.folder)
        study = in_stacks(study)
        for rule in rules_for(self._settings, study.study_instance_uid):
            if not rule.enabled:
                considered.append((rule.name, "switched off"))
                continue
            held = hold(rule, study)
            considered += [(rule.name, explain(one, series)) for series, one in held]
            if not (matching := [series for series, one in held if one.matched]):
                continue
            spec = bundles.get(rule.model)
            fault = refusal or _fault(rule, spec, broken) or not_accepted(self._db, rule, spec)
            made, words = self._for_rule(rule, spec, study, matching, fault)
            plans += live(rule, made, words)
            considered += [(rule.name, text) for text in (*words, *held_for(self._db, rule.model))]
        return (self._own.equip(study, plans) if self._own else plans), considered

    def _for_rule(
        self, rule: Rule, spec: ModelSpec | None, study: Study, matching: Sequence[Series], fault: str
    ) -> tuple[list[Plan], list[str]]:
        """One job for each frame of reference that has all inputs; where none has, one that only says why."""
        names, story = destinations(rule, study, self._settings)
        nearest = min(matching, key=preference)
        if spec is None or (fault and not spec.contours):
            inputs = {spec.input.name if spec else "": nearest}
            return [_plan(rule, spec, inputs, frame_of(nearest), names, fault)], [*story, fault]
        found = feeds(rule, study, spec)
        if fault:
            found = [replace(feed, lacking=fault) for feed in found]
        complete = [feed for feed in found if not feed.lacking]
        # Of frames of reference one that suffices is enough; of contours each was drawn to be measured.
        told = [feed for feed in found if feed.lacking] if spec.contours else [] if complete else found[:1]
        story += [feed.lacking for feed in told] or ([no_contours(rule, spec)] if spec.contours and not found else [])
        for feed in complete:
            for name, series in feed.series.items():
                fed = f"input {name} of {spec.name}" if len(spec.inputs) > 1 else spec.name
                story.append(f"{series.title} feeds {fed}: {feed.why[name]}")
        return [
            _plan(rule, spec, feed.series or {spec.input.name: feed.nearest}, feed.frame, names, feed.lacking)
            for feed in (*complete, *told)
        ], story

    def _too_old(self, study: Study, now: datetime) -> str:
        limit = self._settings.completion.max_study_age_days
        if not limit:
            return ""
        dates = [series.header.first("StudyDate") for series in study.series]
        date = next((text for text in dates if text), None)
        if date is None:
            return ""
        try:
            day = datetime.strptime(str(date), "%Y%m%d").replace(tzinfo=now.tzinfo)
        except ValueError:
            return ""
        if now - day <= timedelta(days=limit + 1):
            return ""
        return f"study of {date} is older than max_study_age_days = {limit}: kept as a prior"


def _fault(rule: Rule, spec: ModelSpec | None, broken: Mapping[str, ConfigError]) -> str:
    """Why a rule cannot run at all, or ""."""
    return unknown_inputs(rule, spec) if spec else f"model {rule.model}: {broken.get(rule.model, 'no such bundle')}"


def _plan(
    rule: Rule,
    spec: ModelSpec | None,
    series: Mapping[str, Series],
    frame: str,
    peers: Sequence[str],
    refusal: str,
) -> Plan:
    inputs = {name: one.instances for name, one in series.items()}
    return Plan(
        rule=rule.name,
        model=rule.model,
        series_instance_uid=next(iter(series.values())).series_instance_uid,
        frame_of_reference_uid=frame,
        inputs=inputs,
        input_digest=input_digest(inputs),
        recipe_digest=recipe_digest(rule, spec),
        priority=rule.priority,
        outputs=rule.outputs,
        destinations=tuple(peers),
        refusal=refusal,
        research=rule.use is Use.RESEARCH,
        deadline_seconds=rule.deadline_seconds,
    )
