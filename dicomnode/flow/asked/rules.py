"""The rules of the configuration in words."""

from __future__ import annotations

from dataclasses import dataclass

from dicomnode.config import Settings
from dicomnode.domain.rule import Condition
from dicomnode.route.match import words


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleShown:
    """A rule of the configuration; conditions in words, those on one input under its name."""

    name: str
    model: str
    enabled: bool
    use: str
    priority: int
    outputs: tuple[str, ...]
    destinations: tuple[str, ...]
    study: tuple[str, ...]
    series: tuple[str, ...]
    inputs: dict[str, tuple[str, ...]]


def rules_shown(settings: Settings) -> list[RuleShown]:
    """Every rule, in the order of the configuration."""
    return [
        RuleShown(
            name=rule.name, model=rule.model, enabled=rule.enabled, use=str(rule.use), priority=rule.priority,
            outputs=rule.outputs, destinations=rule.destinations, study=_in_words(rule.study),
            series=_in_words(rule.series), inputs={name: _in_words(own) for name, own in rule.inputs.items()},
        )
        for rule in settings.rules
    ]  # fmt: skip


def _in_words(conditions: tuple[Condition, ...]) -> tuple[str, ...]:
    return tuple(words(condition) for condition in conditions)
