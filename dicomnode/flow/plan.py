"""What the rules make of a study: the jobs it shall have, and in words why each rule did or did not apply."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from dicomnode.config import Settings
from dicomnode.domain.header import Header
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.network import Peer
from dicomnode.domain.rule import Match, Rule
from dicomnode.domain.study import Series, Study
from dicomnode.flow.recipe import input_digest, recipe_digest
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.route.match import match
from dicomnode.route.select import by_frame_of_reference, choose, frame_of, preference, technical_faults
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
        for rule in self._settings.rules:
            if not rule.enabled:
                considered.append((rule.name, "switched off"))
                continue
            matches = [(series, match(rule, study, series)) for series in study.series]
            considered += [(rule.name, explain(one, series)) for series, one in matches]
            matching = [series for series, one in matches if one.matched]
            if not matching:
                continue
            spec = bundles.get(rule.model)
            fault = refusal
            if spec is None and not fault:
                fault = f"model {rule.model}: {broken.get(rule.model, 'no such bundle')}"
            made, words = self._for_rule(rule, spec, study, matching, fault)
            plans += made
            considered += [(rule.name, text) for text in words]
        return plans, considered

    def destinations(self, rule: Rule, study: Study) -> tuple[list[str], list[str]]:
        """Names of the peers that shall have the results, each peer once, and remarks on those that cannot."""
        found: dict[tuple[str, str, int], Peer] = {}
        remarks = []
        for name in rule.destinations:
            peer = self._settings.peer(study.peer if name == "sender" else name)
            if peer is not None and name == "sender" and peer.results_to:
                peer = self._settings.peer(peer.results_to)
            if peer is None:
                remarks.append(f"no destination for {name}: no peer entry names {study.calling_aet} at {study.address}")
            elif not peer.may_receive:
                remarks.append(f"{peer.name} is a modality and takes no results")
            else:
                found.setdefault((peer.aet, peer.host, peer.port), peer)
        return [peer.name for peer in found.values()], remarks

    def _for_rule(
        self, rule: Rule, spec: ModelSpec | None, study: Study, matching: Sequence[Series], fault: str
    ) -> tuple[list[Plan], list[str]]:
        destinations, words = self.destinations(rule, study)
        if spec is None or fault:
            series = min(matching, key=preference)
            return [_plan(rule, spec, series, frame_of(series), destinations, fault)], [*words, fault]
        fitting = [series for series in matching if not technical_faults(series, spec)]
        if not fitting:
            series = min(matching, key=preference)
            reasons = "; ".join(reason.text for reason in technical_faults(series, spec))
            fault = f"no series fits the input of {spec.name}: {reasons}"
            return [_plan(rule, spec, series, frame_of(series), destinations, fault)], [*words, fault]
        plans = []
        for frame, group in by_frame_of_reference(fitting):
            series, why = choose(group)
            plans.append(_plan(rule, spec, series, frame, destinations, ""))
            words.append(f"series {series.series_instance_uid} feeds {spec.name}: {why}")
        return plans, words

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


def explain(one: Match, series: Series) -> str:
    """One rule on one series in words."""
    label = f"series {series.series_instance_uid} ({_kind(series.header)}, {len(series.instances)} objects)"
    if one.matched:
        return f"{label} matches: " + "; ".join(reason.text for reason in one.reasons)
    return f"{label} does not match: " + "; ".join(reason.text for reason in one.failed)


def _plan(
    rule: Rule, spec: ModelSpec | None, series: Series, frame: str, destinations: Sequence[str], refusal: str
) -> Plan:
    return Plan(
        rule=rule.name,
        model=rule.model,
        series_instance_uid=series.series_instance_uid,
        frame_of_reference_uid=frame,
        instances=series.instances,
        input_digest=input_digest(series),
        recipe_digest=recipe_digest(rule, spec),
        priority=rule.priority,
        outputs=rule.outputs,
        destinations=tuple(destinations),
        refusal=refusal,
    )


def _kind(header: Header) -> str:
    return str(header.first("Modality", "no modality"))
