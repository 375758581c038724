"""What a rule in shadow would have run, in words in place of jobs."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.domain.rule import Rule
from dicomnode.store.jobs import Plan
from dicomnode.store.shadow_matches import SHADOW


def live(rule: Rule, plans: Sequence[Plan], story: list[str]) -> list[Plan]:
    """The plans of a rule that runs; of one in shadow none, and `story` says what they would have been."""
    if not rule.shadow:
        return list(plans)
    story += [SHADOW + _words(plan) for plan in plans]
    return []


def _words(plan: Plan) -> str:
    to = f"for {', '.join(plan.destinations) or 'nobody'}"
    if plan.refusal:
        return f"would have told “not analysed: {plan.refusal}”, {to}"
    fed = sum(len(instances) for instances in plan.inputs.values())
    return f"would have run {plan.model} on series {plan.series_instance_uid} ({fed} objects), {to}"
