"""What rules and models in shadow cannot be."""

from __future__ import annotations

from dicomnode.domain.errors import Fault
from dicomnode.domain.rule import Rule


def shadow_faults(rules: tuple[Rule, ...]) -> list[Fault]:
    """What of `shadow` and `shadow_model` means nothing."""
    faults = []
    for rule in (one for one in rules if one.shadow_model):
        key = f"rule {rule.name}.shadow_model"
        if rule.shadow:
            remedy = "the rule is in shadow itself and makes no result to compare with; leave out one of the two"
            faults.append(Fault(key=key, value=rule.shadow_model, remedy=remedy))
        if rule.shadow_model == rule.model:
            remedy = "this is the rule's own model; name the folder of another bundle"
            faults.append(Fault(key=key, value=rule.shadow_model, remedy=remedy))
    return faults
