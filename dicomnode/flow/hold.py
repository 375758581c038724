"""Holds a rule against every series of a study, and says in words what came of it."""

from __future__ import annotations

from dicomnode.domain.rule import Match, Rule
from dicomnode.domain.study import Series, Study
from dicomnode.route.match import match


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
