"""Reads the sums of target lesions back that our own reports tell of studies before them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.valuerep import DA

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.response import SumAt, ToldSums
from dicomnode.report.earlier import FAULTS, TRACKING_UID, answers, concept, groups, made_by
from dicomnode.report.response import DAY_OF_BASELINE, DAY_OF_NADIR, METHODS, sum_codes

#: Measurement Method (PS3.16 TID 1501).
_METHOD = "370129005"


def read_sums(reports: Sequence[Path], model: str, version: str) -> tuple[ToldSums, ...]:
    """Baseline and nadir by every criterion, as the newest of our reports of a model tells them.

    Parameters
    ----------
    reports
        Our own structured reports of one study, of any model.

    Raises
    ------
    Unsuitable
        If a report cannot be read.
    """
    try:
        made = [ds for ds in map(dcmread, reports) if made_by(ds, model, version)]
        made.sort(key=lambda ds: (str(ds.get("ContentDate", "")), str(ds.get("ContentTime", ""))))
        found = {one.criterion: one for ds in made for one in _sums(ds)}
    except FAULTS as error:
        raise Unsuitable(f"an earlier report cannot be read: {error}, needed a readable object") from error
    return tuple(found.values())


def _sums(report: Dataset) -> Iterator[ToldSums]:
    criteria = {code.value: name for name, code in METHODS.items()}
    for group in groups(report):
        items = {concept(item): item for item in reversed(group.get("ContentSequence") or ())}
        methods = answers(items[_METHOD]) if _METHOD in items else ()
        criterion = next((criteria[one] for one in methods if one in criteria), "")
        base, nadir, least = sum_codes(criterion)
        lowest = nadir if nadir in items else least
        if criterion and base in items and lowest in items:
            yield ToldSums(
                criterion=criterion,
                sums_uid=str(items[TRACKING_UID].UID),
                baseline=SumAt(value=_number(items[base]), day=_day(items.get(DAY_OF_BASELINE[0]))),
                nadir=SumAt(value=_number(items[lowest]), day=_day(items.get(DAY_OF_NADIR[0]))),
                every_study=lowest == nadir,
            )


def _number(item: Dataset) -> float:
    """As it was measured: the decimal string beside it is rounded."""
    measured = item.MeasuredValueSequence[0]
    return float(measured.get("FloatingPointValue", measured.NumericValue))


def _day(item: Dataset | None) -> date | None:
    return DA(item.Date) if item is not None else None
