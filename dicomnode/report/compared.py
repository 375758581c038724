"""What a comparison with earlier studies says, in words for reports and pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from dicomnode.domain.response import (
    COMPARED_LATER,
    Assessment,
    Change,
    Comparison,
    Lesion,
    Standing,
    TimePoint,
)  # fmt: skip
from dicomnode.report.wording import number_text, value_text

#: Criterion → how people call it, and what is summed.
CRITERIA = {
    "recist": ("RECIST 1.1", "sum of diameters"),
    "who": ("WHO", "sum of products"),
    "rano": ("RANO", "sum of products"),
    "volume": ("volume", "sum of volumes"),
}

#: How lines begin that a page sets off.
_BY_TARGETS, _BY_TOTAL = "Target-lesion assessment", "Total-volume assessment"
VERDICT = (_BY_TARGETS, _BY_TOTAL)
NOT_COMPARABLE, LIMIT = "Not comparable", "Limit of the comparison"
CANDIDATE = "Candidate new lesion"

#: What a line says behind the lesions that it names, and how many it names.
_UNMATCHED = {
    Standing.CANDIDATE_NEW: " (not among the lesions of the earlier studies)",
    Standing.NOT_DETECTED: " before (which does not show that it is gone)",
    Standing.NOT_IMAGED: " before",
}
_NAMED = 5

#: For the cells of a table.
_SHORT = {
    Standing.CANDIDATE_NEW: "candidate new",
    Standing.NOT_DETECTED: "not detected",
    Standing.NOT_IMAGED: "not imaged",
}

#: CID 6143, as tumour boards write it.
_CATEGORIES = {
    "112041": "CR, complete response",
    "112042": "PR, partial response",
    "112043": "PD, progressive disease",
    "112044": "SD, stable disease",
}


def lines_of(comparison: Comparison | None) -> list[str]:
    """Studies compared, the verdict on the target lesions, what is new or missing, and the limits of it all."""
    if comparison is None:
        return []
    if comparison.not_comparable == COMPARED_LATER:
        return [COMPARED_LATER]
    if comparison.not_comparable:
        return [f"{NOT_COMPARABLE} with earlier studies: {comparison.not_comparable}"]
    if not comparison.priors:
        return [
            *(_first(one, comparison.now) for one in comparison.assessments),
            *(f"{LIMIT}: {text}" for text in comparison.remarks),
        ]
    last = comparison.priors[-1]
    lines = [_studies(comparison, last)]
    lines += [verdict(one) for one in comparison.assessments]
    lines += _total(comparison, last)
    lines += _unmatched(comparison.changes)
    lines += _limits(comparison.assessments)
    return [*lines, *(f"{LIMIT}: {text}" for text in dict.fromkeys(comparison.remarks))]


def verdict(one: Assessment) -> str:
    """One assessment: criterion, category where there is one, change and sums.

    Target-lesion assessment by RECIST 1.1: PR, partial response (−34.0 % from baseline); sum of diameters 26.4 mm …
    """
    title, summed = CRITERIA.get(one.criterion, (one.criterion, "sum"))
    found = _CATEGORIES.get(one.category.value, one.category.meaning) if one.category else "no category"
    unit = one.unit.value
    # With one earlier study, or a sum that never fell, the baseline is the nadir.
    nadir, from_nadir = (one.nadir, one.percent_from_nadir) if one.nadir != one.baseline else (None, None)
    lowest = "nadir" if one.every_study else "the lowest of the studies at hand"
    changes = [
        f"{percent_text(percent)} from {since}"
        for percent, since in ((one.percent_from_baseline, "baseline"), (from_nadir, lowest))
        if percent is not None
    ]
    sums = [
        f"{value_text(value, unit)}{when}"
        for value, when in (
            (one.now, ""),
            (one.baseline, f" at baseline{_on(one.baseline_day)}"),
            (nadir, f" at {lowest}{_on(one.nadir_day)}"),
        )
        if value is not None
    ]
    text = f"{_BY_TOTAL if one.criterion == 'volume' else _BY_TARGETS} by {title}: {found}"
    text += f" ({', '.join(changes)})" if changes else ""
    return f"{text}; {summed} {', '.join(sums)}" if sums else text


def _on(day: date | None) -> str:
    return f" ({day:%Y-%m-%d})" if day else ""


def _first(one: Assessment, now: TimePoint) -> str:
    """Where nothing precedes: what later studies will be held against."""
    title, summed = CRITERIA.get(one.criterion, (one.criterion, "sum"))
    total = value_text(one.now, one.unit.value) if one.now is not None else "not measured"
    if not one.targets:
        return f"All lesions: {summed} {total}; no earlier study at hand"
    count = f"{len(one.targets)} target lesion{'s' if len(one.targets) > 1 else ''}"
    how = "chosen by a person" if now.chosen else "selected by size"
    return f"{count} by {title}, {how}: {summed} {total}; no earlier study at hand"


def _total(comparison: Comparison, last: TimePoint) -> list[str]:
    """The change of the total volume, where no criterion tells it and every lesion of then was found again."""
    then, now = ([one.volume_ml for one in point.lesions] for point in (last, comparison.now))
    gone = {one.tracking_uid for one in last.lesions} - {one.tracking_uid for one in comparison.now.lesions}
    volumes = [one for one in (*then, *now) if one is not None]
    told = any(one.criterion == "volume" for one in comparison.assessments)
    if told or gone or not then or len(volumes) < len(then) + len(now):
        return []
    before, after = sum(volumes[: len(then)]), sum(volumes[len(then) :])
    changed = f" ({percent_text(100 * (after - before) / before)})" if before else ""
    return [
        f"Total volume of all lesions: {value_text(after, 'cm3')}, "
        f"{value_text(before, 'cm3')} in the study of {last.day:%Y-%m-%d}{changed}"
    ]


def percent_text(percent: float) -> str:
    """A change with its sign: `−34.0 %`, `+12.5 %`."""
    text = number_text(percent, 1)
    return f"+{text} %" if percent > 0 and text != "0.0" else f"{text} %"


def change_text(change: Change, quantity: str) -> str:
    """The change of one quantity of a lesion (`longest_mm`, `volume_ml` …) or why there is none; empty if not known."""
    if change.standing is not Standing.MATCHED:
        return _SHORT[change.standing]
    return percent_text(change.percent[quantity]) if quantity in change.percent else ""


def size_quantity(lesion: Lesion) -> str:
    """What the size of a lesion is told by: the short axis of lymph nodes, the long one of all else."""
    return "short_mm" if lesion.lymph_node else "longest_mm"


def _studies(comparison: Comparison, last: TimePoint) -> str:
    days = (comparison.now.day - last.day).days
    text = f"Compared with the study of {last.day:%Y-%m-%d} ({days} days before; measured by {last.measured_by})"
    first = comparison.priors[0]
    return text if first is last else f"{text}; {len(comparison.priors)} studies since {first.day:%Y-%m-%d}"


def _limits(assessments: Sequence[Assessment]) -> list[str]:
    """Why there is no category, and once for all what a category does not tell."""
    without = [one.text for one in assessments if one.category is None]
    with_one = [one.text for one in assessments if one.category is not None]
    return [*with_one[:1], *without]


def _unmatched(changes: Sequence[Change]) -> list[str]:
    """Lesions of one time alone, a line for each kind with the largest of them."""
    lines = []
    for standing, tail in _UNMATCHED.items():
        found = [one.now or one.before for one in changes if one.standing is standing]
        known = sorted((one for one in found if one), key=lambda one: -(one.size_mm or 0.0))
        if known:
            named = "; ".join(_named(one) for one in known[:_NAMED])
            more = f"; and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
            lines.append(f"{str(standing).capitalize()}: {named}{more}{tail}")
    return lines


def _named(lesion: Lesion) -> str:
    return f"{lesion.label}, {value_text(lesion.size_mm, 'mm')}" if lesion.size_mm is not None else lesion.label
