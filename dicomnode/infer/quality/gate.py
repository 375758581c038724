"""Holds every series against the range for which a model was made, and says what that means for the analysis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Check, SourceSeries
from dicomnode.domain.model import CheckSpec, InputSpec, ModelSpec, Severity
from dicomnode.infer.quality import acquisition, contrast, geometry, intensity, patient
from dicomnode.infer.quality.companion import PAIRED, USUAL_COVERAGE, covered
from dicomnode.infer.quality.outcome import Rule, as_check
from dicomnode.infer.quality.tags import texts
from dicomnode.infer.read.suv import UNITS

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

    Besides what the bundle states, every series is held against `intensity.always`, a PET against the unit of SUV by
    body weight unless the bundle asks for others, and every series after the first against the first, which it has to
    cover.

    Parameters
    ----------
    sources
        In the order of the model's inputs that are images.

    Returns
    -------
    tuple of Check
        Passed and failed ones, input by input. Where a model has several inputs, the name of the input stands
        before the name of the rule.
    """
    return tuple(
        one
        for source, input_ in zip(sources, spec.images, strict=True)
        for one in _named(_checks(source, sources[0], input_, spec), input_, spec)
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


def _checks(source: SourceSeries, first: SourceSeries, input_: InputSpec, spec: ModelSpec) -> Iterator[Check]:
    yield from intensity.always(source, input_, spec)
    stated = [limit for limit in spec.valid if (limit.input or spec.input.name) == input_.name]
    rules = {limit.rule for limit in stated}
    # A network for PET is made for one unit, and the others differ from it by orders of magnitude.
    if texts(source, "Modality") == ("PT",) and "units" not in rules:
        stated.append(CheckSpec(rule="units", limit=(UNITS["bw"],)))
    if source is not first and "companion_coverage" not in rules:
        stated.append(CheckSpec(rule="companion_coverage", limit=USUAL_COVERAGE, severity=Severity.WARN))
    for limit in stated:
        if limit.rule not in PAIRED:
            yield as_check(RULES[limit.rule](source, limit.limit), limit)
        elif source is not first:
            # The network would see nothing at all of the companion, and its answer would still look like one.
            blind = Severity.BLOCK if covered(first, source) == 0 else limit.severity
            yield as_check(PAIRED[limit.rule](first, source, limit.limit), replace(limit, severity=blind))


def _named(checks: Iterator[Check], input_: InputSpec, spec: ModelSpec) -> Iterator[Check]:
    for one in checks:
        rule = f"{input_.name}: {one.rule}" if len(spec.images) > 1 else one.rule
        yield Check(rule=rule, found=one.found, limit=one.limit, passed=one.passed, severity=one.severity)
