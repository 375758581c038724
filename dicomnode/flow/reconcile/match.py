"""Tells from what an archive answers to queries whether a rule would take a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dicomnode.domain.condition import ASSOCIATION_KEYS
from dicomnode.domain.header import Header
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.rule import Condition, Rule
from dicomnode.route.match import evaluate


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A study that meets all conditions of which an archive told; `not_told` are the attributes of the others."""

    not_told: tuple[str, ...]


def keywords(rules: Sequence[tuple[Rule, ModelSpec]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to ask for at STUDY level and at SERIES level, so that as many conditions as possible can be told."""
    study = {one.path[0]: None for rule, _ in rules for one in rule.study if one.key not in ASSOCIATION_KEYS}
    series = {
        one.path[0]: None for rule, spec in rules for fed in spec.inputs for one in _conditions(rule, spec, fed.name)
    }
    return tuple(study), tuple(series)


def told(rule: Rule, spec: ModelSpec, study: Header, series: Sequence[Header]) -> Told | None:
    """Whether a study has a series for every input of the rule's model, as far as an archive tells; None if not.

    A condition on what the archive did not mention is left open: ImageType, SliceThickness and all else that is of
    single images is mostly not told, and who sent the study with which association never is.
    """
    if not _met(rule.study, study):
        return None
    silent = [one.key for one in rule.study if one.path[0] not in study]
    for fed in spec.inputs:
        conditions = _conditions(rule, spec, fed.name)
        # What it does not even say the modality of is not counted: a query has to answer that (PS3.4 Table C.6-3).
        fitting = [one for one in series if "Modality" in one and _met(conditions, one)]
        if not fitting:
            return None
        most = min(fitting, key=lambda one: len(_silent(conditions, one)))
        silent += _silent(conditions, most)
    return Told(not_told=tuple(dict.fromkeys(silent)))


def _conditions(rule: Rule, spec: ModelSpec, name: str) -> tuple[Condition, ...]:
    fed = next(one for one in spec.inputs if one.name == name)
    return (*fed.conditions, *rule.series, *rule.inputs.get(name, ()))


def _met(conditions: Sequence[Condition], header: Header) -> bool:
    return all(evaluate(one, [header]).met for one in conditions if one.path[0] in header)


def _silent(conditions: Sequence[Condition], header: Header) -> list[str]:
    return [one.key for one in conditions if one.path[0] not in header]
