"""Holds every series against the range for which a model was made, and says what that means for the analysis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Check, SourceSeries
from dicomnode.domain.model import InputSpec, ModelSpec, Severity
from dicomnode.infer.quality import acquisition, contrast, geometry, intensity, patient
from dicomnode.infer.quality.outcome import Rule, as_check

#: Rules that `[valid]` may state, by name; the bundle's schema has a key for each.
RULES: Mapping[str, Rule] = {
    **geometry.RULES,
    **acquisition.RULES,
    **contrast.RULES,
    **patient.RULES,
    **intensity.RULES,
}


def check(sources: Sequence[SourceSeries], spec: ModelSpec) -> tuple[Check, ...]:
    """Hold every series against the range for which the model was made.

    Besides what the bundle states, every series is held against `intensity.always`.

    Parameters
    ----------
    sources
        In the order of the model's inputs.

    Returns
    -------
    tuple of Check
        Passed and failed ones, input by input. Where a model has several inputs, the name of the input stands
        before the name of the rule.
    """
    return tuple(
        one
        for source, input_ in zip(sources, spec.inputs, strict=True)
        for one in _named(_checks(source, input_, spec), input_, spec)
    )


def require(checks: Sequence[Check], subject: str) -> tuple[str, ...]:
    """Refuse what a failed check blocks.

    Parameters
    ----------
    subject
        What the checks are about, as messages shall call it: `series 1.2…`.

    Returns
    -------
    tuple of str
        The failed checks that only warn, in words for the report.

    Raises
    ------
    Unsuitable
        Naming every failed check that blocks, with all checks for the report.
    """
    failed = [one for one in checks if not one.passed]
    blocking = [one.text for one in failed if one.severity is Severity.BLOCK]
    if blocking:
        raise Unsuitable(f"{subject}: {'; '.join(blocking)}", checks=checks)
    return tuple(one.text for one in failed)


def _checks(source: SourceSeries, input_: InputSpec, spec: ModelSpec) -> Iterator[Check]:
    yield from intensity.always(source, input_, spec)
    for limit in spec.valid:
        if (limit.input or spec.input.name) == input_.name:
            yield as_check(RULES[limit.rule](source, limit.limit), limit)


def _named(checks: Iterator[Check], input_: InputSpec, spec: ModelSpec) -> Iterator[Check]:
    for one in checks:
        rule = f"{input_.name}: {one.rule}" if len(spec.inputs) > 1 else one.rule
        yield Check(rule=rule, found=one.found, limit=one.limit, passed=one.passed, severity=one.severity)
