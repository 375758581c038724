"""What one rule of the quality gate finds, and the words and limits that rules share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from dicomnode.domain.finding import Check, SourceSeries
from dicomnode.domain.model import CheckSpec

#: A length that is written with two decimals may be off by half the last one.
ROUNDING_MM = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a rule finds and what it needs, both in words with units; `passed` is None where the headers do not tell."""

    found: str
    needed: str
    passed: bool | None


#: A rule holds one series against the limit that a bundle states.
Rule = Callable[[SourceSeries, Any], Outcome]


def as_check(outcome: Outcome, spec: CheckSpec) -> Check:
    """The outcome of a rule as a line of the gate's report.

    What the headers do not tell passes or fails as `spec.unknown` says.
    """
    passed = outcome.passed if outcome.passed is not None else spec.unknown is None
    severity = spec.severity if outcome.passed is not None else spec.unknown or spec.severity
    return Check(rule=spec.rule, found=outcome.found, limit=outcome.needed, passed=passed, severity=severity)


def within(
    values: Sequence[float], limit: tuple[float, float], unit: str, rounding: float = 0.0, joined: str = " and "
) -> Outcome:
    """Hold numbers against a range, whose ends belong to it.

    Parameters
    ----------
    values
        All of them have to lie in the range. None at all means that the headers do not tell.
    rounding
        By how much a number may miss the range, because it was rounded when written.
    joined
        What stands between several numbers.
    """
    low, high = limit
    needed = f"{low:g} to {high:g}{_after(unit)}"
    if not values:
        return Outcome(found="not stated", needed=needed, passed=None)
    passed = min(values) >= low - rounding and max(values) <= high + rounding
    found = f"{joined.join(number(value) for value in values)}{_after(unit)}"
    return Outcome(found=found, needed=needed, passed=passed)


def at_most(value: float | None, limit: float, unit: str, rounding: float = 0.0) -> Outcome:
    """Hold a number against the largest that is allowed; None means that the headers do not tell."""
    needed = f"{limit:g}{_after(unit)} or less"
    if value is None:
        return Outcome(found="not stated", needed=needed, passed=None)
    return Outcome(found=f"{number(value)}{_after(unit)}", needed=needed, passed=value <= limit + rounding)


def one_of(found: Iterable[str], wanted: Sequence[str]) -> Outcome:
    """Whether one of the texts found is one of those wanted; upper and lower case are the same, * and ? stand for any.

    Empty texts say nothing, and none at all means that the headers do not tell.
    """
    texts = stated(found)
    needed = " or ".join(wanted)
    if not texts:
        return Outcome(found="not stated", needed=needed, passed=None)
    return Outcome(found=" and ".join(texts), needed=needed, passed=any(like(text, wanted) for text in texts))


def none_of(found: Iterable[str], unwanted: Sequence[str]) -> Outcome:
    """Whether none of the texts found is one of those unwanted; the opposite of `one_of`."""
    texts = stated(found)
    needed = f"neither {' nor '.join(unwanted)}" if len(unwanted) > 1 else f"not {unwanted[0]}"
    if not texts:
        return Outcome(found="not stated", needed=needed, passed=None)
    return Outcome(found=" and ".join(texts), needed=needed, passed=not any(like(text, unwanted) for text in texts))


def like(text: str, patterns: Sequence[str]) -> bool:
    """Whether a text is one of the patterns, whatever its case, its blanks and its underscores."""
    return any(fnmatchcase(_plain(text), _plain(pattern)) for pattern in patterns)


def stated(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts that are not empty, each once and in order."""
    return tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))


def number(value: float) -> str:
    """A number with four significant digits, or all digits of its integer part."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _plain(text: str) -> str:
    # Code strings come as WHOLEBODY, WHOLE BODY and WHOLE_BODY; a bracket would begin a set of letters.
    return text.casefold().replace(" ", "").replace("_", "").replace("[", "[[]")


def _after(unit: str) -> str:
    return f" {unit}" if unit else ""
