"""Tells from an archive's answers which series of an earlier study may be of use to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dicomnode.domain.model import ModelSpec
from dicomnode.domain.rule import Rule
from dicomnode.query.find import FoundSeries
from dicomnode.report.provenance import MANUFACTURER
from dicomnode.route.match import evaluate

#: Image series per input, and reports, that are fetched of one study: its headers decide which is used, and a study
#: may hold a dozen reconstructions of which a query cannot tell which fits.
MOST_SERIES = 4

_DRAWN, _REPORTS = frozenset({"SEG", "RTSTRUCT"}), "SR"

#: Enhanced, Comprehensive and Comprehensive 3D SR: the classes of this node's reports. Dose reports, procedure logs
#: and key object selections, of which every study has some, are of others.
_REPORT_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.88.{last}" for last in (22, 33, 34))


@dataclass(frozen=True, slots=True, kw_only=True)
class Useful:
    """Series of a study: images that may feed a model, what was drawn on them, and reports, ours first."""

    images: tuple[FoundSeries, ...] = ()
    drawn: tuple[FoundSeries, ...] = ()
    reports: tuple[FoundSeries, ...] = ()

    @property
    def in_order(self) -> tuple[FoundSeries, ...]:
        """All of them, each once."""
        every = (*self.images, *self.drawn, *self.reports)
        return tuple({one.series_instance_uid: one for one in every}.values())


def useful(series: Sequence[FoundSeries], rule: Rule, spec: ModelSpec) -> Useful:
    """Series to fetch of a study, as far as an archive's answers tell; none where no image may feed the model.

    Conditions of rule and bundle are held against what the archive says; what it does not say is decided by the
    headers, once they are here.
    """
    images: list[FoundSeries] = []
    for fed in spec.images:
        conditions = (*rule.series, *rule.inputs.get(fed.name, ()), *fed.conditions)
        fitting = [
            one for one in series
            if one.modality not in {*_DRAWN, _REPORTS}
            and all(evaluate(each, [one.header]).met for each in conditions if each.path[0] in one.header)
        ]  # fmt: skip
        # More images are thinner slices of the same body more often than another body.
        fitting.sort(key=lambda one: (-one.instances, one.series_instance_uid))
        images += fitting[:MOST_SERIES]
    if not images:
        return Useful()
    reports = sorted((one for one in series if one.modality == _REPORTS), key=_date, reverse=True)
    return Useful(
        images=tuple(images),
        drawn=tuple(one for one in series if one.modality in _DRAWN),
        reports=tuple(sorted(reports, key=_strangeness)),
    )


def may_be_ours(objects: Mapping[str, str]) -> bool:
    """Whether a series of reports (SOP Instance UID → SOP Class UID or "") may be one of this node's."""
    return any(sop_class in _REPORT_CLASSES or not sop_class for sop_class in objects.values())


def _strangeness(report: FoundSeries) -> int:
    """0 where the archive says that a report is ours, 1 where it says nothing, 2 where it names somebody else."""
    maker = str(report.header.first("Manufacturer", "")).strip()
    return 0 if maker == MANUFACTURER else 2 if maker else 1


def _date(report: FoundSeries) -> str:
    return str(report.header.first("SeriesDate", ""))
