"""Holds rules against series, clause by clause, in words."""

from __future__ import annotations

import operator as operator_module
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dicomnode.domain.condition import NUMBER_VRS
from dicomnode.domain.header import Header
from dicomnode.domain.rule import Condition, Match, Operator, Reason, Rule
from dicomnode.domain.study import Series, Study

#: Value representations whose values are codes, compared whole and with regard to case.
_CODED_VRS = frozenset({"CS", "UI", "AE"})
_AGE_DAYS = {"D": 1, "W": 7, "M": 30.4375, "Y": 365.25}
_SHOWN = 60


def match(rule: Rule, study: Study, series: Series, input_name: str = "") -> Match:
    """Hold one rule against one series of a study.

    A clause on the series holds when it holds for every instance: a localizer among the slices must not decide.

    Parameters
    ----------
    input_name
        The input of the model that the series would feed; the rule's conditions on that input have to hold, too.
    """
    facts = {"calling_aet": study.calling_aet, "called_aet": study.called_aet, "peer": study.peer}
    headers = [instance.header for instance in series.instances]
    reasons = [evaluate(condition, headers[:1], facts) for condition in rule.study]
    reasons += [evaluate(condition, headers) for condition in (*rule.series, *rule.inputs.get(input_name, ()))]
    return Match(rule=rule, series_instance_uid=series.series_instance_uid, reasons=tuple(reasons), input=input_name)


def evaluate(condition: Condition, headers: Sequence[Header], facts: Mapping[str, str] | None = None) -> Reason:
    """Hold one condition against all instances of a series."""
    seen: dict[tuple[Any, ...], bool] = {}
    for header in headers:
        if facts is not None and condition.key in facts:
            values: tuple[Any, ...] = (facts[condition.key],) if facts[condition.key] else ()
            vr = "AE"
        else:
            values, vr = _find(header, condition.path)
        shown = tuple(str(value) for value in values)
        if shown not in seen:
            seen[shown] = _holds(condition, values, vr)
    met = all(seen.values())
    values = next((values for values, holds in seen.items() if holds == met), ())
    found = "\\".join(values) or "nothing"
    if len(found) > _SHOWN:
        found = found[: _SHOWN - 1] + "…"
    among = "" if met or len(seen) == 1 else ", in some of its instances"
    return Reason(met=met, text=f"{words(condition)}: found {found}{among}")


def _find(header: Header, path: tuple[str, ...]) -> tuple[tuple[Any, ...], str]:
    if len(path) == 1:
        return header.values(path[0]), header.vr(path[0])
    found: list[Any] = []
    vr = ""
    for item in header.values(path[0]):
        values, item_vr = _find(item, path[1:])
        found += values
        vr = vr or item_vr
    return tuple(found), vr


def _holds(condition: Condition, values: tuple[Any, ...], vr: str) -> bool:
    operator, operand = condition.operator, condition.operand
    if operator is Operator.PRESENT:
        return bool(values)
    if operator is Operator.MISSING:
        return not values
    if operator is Operator.NOT:
        return (not values and condition.or_missing) or not all(_holds(inner, values, vr) for inner in operand)
    if not values:
        return condition.or_missing or operator is Operator.NOT_CONTAINS
    match operator:
        case Operator.EQUALS:
            return _equal(values, operand, vr)
        case Operator.ANY_OF:
            return any(_equal(values, one, vr) for one in operand)
        case Operator.CONTAINS:
            return _contains(values, operand, vr)
        case Operator.NOT_CONTAINS:
            return not _contains(values, operand, vr)
        case Operator.MATCHES:
            return re.search(str(operand), "\\".join(str(value) for value in values)) is not None
        case Operator.AT_LEAST:
            return _ordered_as(operator_module.ge, values, operand, vr)
        case Operator.AT_MOST:
            return _ordered_as(operator_module.le, values, operand, vr)


def _equal(values: tuple[Any, ...], operand: Any, vr: str) -> bool:
    """The whole attribute equals the operand, or one of its values does."""
    if vr in NUMBER_VRS:
        return any(_number(value) == _number(operand) for value in values)
    wanted = _text(operand, vr)
    return wanted == "\\".join(_text(value, vr) for value in values) or any(
        wanted == _text(value, vr) for value in values
    )


def _contains(values: tuple[Any, ...], operand: Any, vr: str) -> bool:
    """Of codes one whole value, of free text a part of it."""
    if vr in _CODED_VRS or vr in NUMBER_VRS:
        return any(_equal((value,), operand, vr) for value in values)
    return any(_text(operand, vr) in _text(value, vr) for value in values)


def _text(value: Any, vr: str) -> str:
    text = str(value).strip()
    return text if vr in _CODED_VRS else text.casefold()


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _ordered_as(compare: Callable[[Any, Any], bool], values: tuple[Any, ...], operand: Any, vr: str) -> bool:
    """Whether every value compares so with the operand; a value that has no order does not."""
    limit = _orderable(operand, vr)
    found = [_orderable(value, vr) for value in values]
    return limit is not None and all(one is not None and compare(one, limit) for one in found)


def _orderable(value: Any, vr: str) -> float | str | None:
    """A value in a form that can be compared: numbers as such, ages in days, dates and times as their text."""
    if vr == "AS":
        age = re.fullmatch(r"(\d{3})([DWMY])", str(value))
        return int(age[1]) * _AGE_DAYS[age[2]] if age else None
    return _number(value) if vr in NUMBER_VRS else str(value)


def words(condition: Condition) -> str:
    """A condition as a sentence without verb, such as "SliceThickness at most 3.0"."""
    return f"{condition.key} {_demand(condition)}"


def _demand(condition: Condition) -> str:
    operator, operand = condition.operator, condition.operand
    missing = " (or missing)" if condition.or_missing else ""
    match operator:
        case Operator.NOT:
            return "not (" + " and ".join(_demand(inner) for inner in operand) + ")" + missing
        case Operator.PRESENT | Operator.MISSING:
            return f"{operator}"
        case Operator.ANY_OF:
            return f"any of {', '.join(str(one) for one in operand)}{missing}"
        case _:
            return f"{str(operator).replace('_', ' ')} {operand}{missing}"
