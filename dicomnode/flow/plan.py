"""What the rules make of a study: the jobs it shall have, and in words why each rule did or did not apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from dicomnode.config import Settings
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.rule import Match, Rule
from dicomnode.domain.study import Series, Study
from dicomnode.flow.address import destinations
from dicomnode.flow.recipe import input_digest, recipe_digest
from dicomnode.flow.stacks import in_stacks
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.route.inputs import feeds, unknown_inputs
from dicomnode.route.match import match
from dicomnode.route.select import frame_of, preference
from dicomnode.store.jobs import Plan

#: What a rule's name stands beside in the study's story: (rule, words).
Considered = tuple[str, str]


class Planner:
    """Holds the rules against a study. Pure but for reading the bundles, which may change while the node runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

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
        for rule in self._settings.rules:
            if not rule.enabled:
                considered.append((rule.name, "switched off"))
                continue
            held = hold(rule, study)
            considered += [(rule.name, explain(one, series)) for series, one in held]
            matching = [series for series, one in held if one.matched]
            if not matching:
                continue
            spec = bundles.get(rule.model)
            made, words = self._for_rule(rule, spec, study, matching, refusal or _fault(rule, spec, broken))
            plans += made
            considered += [(rule.name, text) for text in words]
        return plans, considered

    def _for_rule(
        self, rule: Rule, spec: ModelSpec | None, study: Study, matching: Sequence[Series], fault: str
    ) -> tuple[list[Plan], list[str]]:
        """One job for each frame of reference that has all inputs; where none has, one that only says why."""
        names, story = destinations(rule, study, self._settings)
        nearest = min(matching, key=preference)
        if spec is None or fault:
            inputs = {spec.input.name if spec else "": nearest}
            return [_plan(rule, spec, inputs, frame_of(nearest), names, fault)], [*story, fault]
        found = feeds(rule, study, spec)
        complete = [feed for feed in found if not feed.lacking]
        if not complete:
            best = found[0]
            inputs = dict(best.series) or {spec.input.name: best.nearest}
            return [_plan(rule, spec, inputs, best.frame, names, best.lacking)], [*story, best.lacking]
        for feed in complete:
            for name, series in feed.series.items():
                fed = f"input {name} of {spec.name}" if len(spec.inputs) > 1 else spec.name
                story.append(f"{series.title} feeds {fed}: {feed.why[name]}")
        return [_plan(rule, spec, feed.series, feed.frame, names, "") for feed in complete], story

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


def hold(rule: Rule, study: Study) -> list[tuple[Series, Match]]:
    """A rule held against every series of a study, once for each input that it names.

    The rule applies to the study if one of these matches.
    """
    return [(series, match(rule, study, series, name)) for name in rule.inputs or ("",) for series in study.series]


def explain(one: Match, series: Series) -> str:
    """One rule on one series in words."""
    kind = series.header.first("Modality", "no modality")
    label = f"{series.title} ({kind}, {len(series.instances)} objects)"
    fed = f" as input {one.input}" if one.input else ""
    if one.matched:
        return f"{label} matches{fed}: " + "; ".join(reason.text for reason in one.reasons)
    return f"{label} does not match{fed}: " + "; ".join(reason.text for reason in one.failed)


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
    )
