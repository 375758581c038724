"""Chooses the series that feed the inputs of a model together, all within one frame of reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dicomnode.domain.model import InputSpec, ModelSpec
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Series, Study
from dicomnode.route.contours import contour_feeds
from dicomnode.route.feed import Feed
from dicomnode.route.match import evaluate, match, words
from dicomnode.route.select import by_frame_of_reference, choose, preference, technical_faults


def unknown_inputs(rule: Rule, spec: ModelSpec) -> str:
    """What is wrong with the inputs that a rule names, or ""."""
    known = [fed.name for fed in spec.inputs]
    strange = [name for name in rule.inputs if name not in known]
    if not strange:
        return ""
    return f"rule {rule.name} names input {', '.join(strange)}; model {spec.name} has {', '.join(known)}"


def feeds(rule: Rule, study: Study, spec: ModelSpec) -> list[Feed]:
    """What every frame of reference of a study has for a model, the best first.

    An input takes the first series by `ORDER` among those that meet the conditions of rule and bundle; no series
    feeds two inputs. Frames that feed every input come first, then those that lack least. A model that measures what
    somebody has drawn gets one feed for each object with contours, and none where there is no such object.
    """
    if spec.contours:
        return contour_feeds(rule, study, spec)
    matching = {
        fed.name: [series for series in study.series if match(rule, study, series, fed.name).matched]
        for fed in spec.inputs
    }
    fitting = {
        fed.name: [series for series in matching[fed.name] if not technical_faults(series, spec, fed)]
        for fed in spec.inputs
    }
    relevant = [series for series in study.series if any(_holds(found, series) for found in matching.values())]
    found = []
    for frame, group in by_frame_of_reference(relevant):
        near, candidates = (
            {name: [one for one in group if _holds(of, one)] for name, of in table.items()}
            for table in (matching, fitting)
        )
        chosen = _assign(candidates)
        lacking = [
            _lack(fed, rule, spec, near[fed.name], candidates[fed.name], fitting[fed.name])
            for fed in spec.inputs
            if fed.name not in chosen
        ]
        why = {name: _why(series, candidates[name]) for name, series in chosen.items()}
        nearest = min(group, key=preference)
        found.append(Feed(frame=frame, series=chosen, why=why, lacking="; ".join(lacking), nearest=nearest))
    return sorted(found, key=_rank)


def _rank(feed: Feed) -> tuple[int, tuple[tuple[Any, ...], ...]]:
    return -len(feed.series), tuple(preference(one) for one in (*feed.series.values(), feed.nearest))


def _holds(series: Sequence[Series], one: Series) -> bool:
    return any(other is one for other in series)


def _assign(candidates: Mapping[str, Sequence[Series]]) -> dict[str, Series]:
    """A series of its own for as many inputs as possible; earlier inputs have the better choice."""
    # The others take one series each, so no input needs more candidates than there are inputs.
    ranked = {name: sorted(of, key=preference)[: len(candidates)] for name, of in candidates.items() if of}

    def fill(names: Sequence[str], taken: Sequence[Series]) -> dict[str, Series]:
        if not names:
            return {}
        name, *others = names
        best: dict[str, Series] = {}
        for series in ranked[name]:
            if not _holds(taken, series):
                found = {name: series, **fill(others, (*taken, series))}
                if len(found) == len(names):
                    return found
                best = max(best, found, key=len)
        return max(best, fill(others, taken), key=len)

    return fill(list(ranked), ())


def _why(series: Series, candidates: Sequence[Series]) -> str:
    preferred, why = choose(candidates)
    return why if series is preferred else "the best that feeds no other input"


def _lack(
    fed: InputSpec,
    rule: Rule,
    spec: ModelSpec,
    near: Sequence[Series],
    candidates: Sequence[Series],
    elsewhere: Sequence[Series],
) -> str:
    """Why an input is not fed: the nearest series and what is wrong with it, or what was looked for."""
    alone = len(spec.inputs) == 1
    subject = f"no series fits the input of {spec.name}" if alone else f"no series for input {fed.name}"
    if candidates:
        return f"{subject}: {candidates[0].title} feeds another input, and none feeds two"
    # Any series of the study may match a rule without conditions on this input; only one of its kind says something.
    kin = [one for one in near if alone or _is_of_kind(one, fed)]
    if kin:
        return f"{subject}: " + "; ".join(one.text for one in technical_faults(min(kin, key=preference), spec, fed))
    conditions = (*fed.conditions, *rule.series, *rule.inputs.get(fed.name, ()))
    needed = f" (needed {', '.join(dict.fromkeys(map(words, conditions)))})" if conditions else ""
    lack = f"{subject}{needed} in this frame of reference"
    if not elsewhere:
        return lack
    if any("FrameOfReferenceUID" in one.header for one in elsewhere):
        return f"{lack}; another frame of reference has one"
    return f"{lack}; {elsewhere[0].title} names none, so that nothing says where it lies"


def _is_of_kind(series: Series, fed: InputSpec) -> bool:
    headers = [instance.header for instance in series.instances]
    return all(evaluate(condition, headers).met for condition in fed.conditions)
