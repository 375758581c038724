"""Finds the earlier studies that a rule can use at one archive, and brings them into the scratch area."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from dicomnode.domain.errors import DeliveryError
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.prior import PriorWish
from dicomnode.domain.rule import Rule
from dicomnode.flow.priors_archive import Archive, Questions
from dicomnode.flow.priors_choice import period, select
from dicomnode.flow.priors_scratch import ScratchArea
from dicomnode.query.find import FoundSeries
from dicomnode.route.match import evaluate
from dicomnode.store.database import Database
from dicomnode.store.scratch import Scratch

#: Image series per input, and reports, that are fetched of one study: its headers decide which is used, and a study
#: may hold a dozen reconstructions of which a query cannot tell which fits.
_MOST_SERIES = 4

_MASKS, _REPORTS = "SEG", "SR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A study that an archive has: series → SOP Instance UID → SOP Class UID ("" where it does not say)."""

    study_instance_uid: str
    study_date: date
    series: Mapping[str, Mapping[str, str]]


class Fetcher:
    """Talks to one archive for one search after the other."""

    def __init__(self, archive: Archive, db: Database, rows: Scratch, area: ScratchArea, source: str) -> None:
        self._archive = archive
        self._db = db
        self._rows = rows
        self._area = area
        self._source = source

    def look(
        self, patient_id: str, day: date, wish: PriorWish, known: Mapping[str, date], rule: Rule, spec: ModelSpec
    ) -> list[Listing]:
        """The studies to fetch, with all their objects that may be of use.

        Parameters
        ----------
        day
            Of the present study.
        known
            Earlier studies that are at hand already, which need not be fetched and count among `wish.at_most`.

        Raises
        ------
        Unsuitable
            The Patient ID cannot be asked for.
        PeerUnreachable, DeliveryError
            The archive gave no answer, or a failure.
        """
        wanted: dict[str, list[str]] = {}
        with self._archive.asked() as questions:
            found = questions.studies(patient_id, *period(day, wish))
            days = {one.study_instance_uid: one.study_date for one in found} | dict(known)

            def fits(uid: str) -> bool:
                if uid not in known:
                    wanted[uid] = useful(questions.series(uid), rule, spec)
                return uid in known or bool(wanted[uid])

            chosen = [uid for uid in select(days, wish.at_most, fits) if uid not in known]
            return [
                Listing(
                    study_instance_uid=uid,
                    study_date=days[uid],
                    series={one: self._objects(questions, uid, one) for one in wanted[uid]},
                )
                for uid in chosen
            ]

    def bring(self, listing: Listing, wanted: Callable[[], bool]) -> None:
        """Fetch what of a study is not here yet; `wanted` is asked before each series.

        Raises
        ------
        PeerUnreachable, DeliveryError
            Not everything came. What did come stays.
        """
        uid = listing.study_instance_uid
        for series, objects in listing.series.items():
            if not self._lacking(uid, series, objects) or not wanted():
                continue
            with self._db.transaction():
                self._rows.ask(uid, [series], self._source)
            remark = self._archive.fetch(uid, series, sorted({*objects.values()} - {""}))
            lacking = self._lacking(uid, series, objects)
            if lacking:
                text = f"{self._source}: {len(lacking)} of {len(objects)} objects of series {series} did not come"
                raise DeliveryError(f"{text}; {remark}" if remark else text)

    def _lacking(self, study_instance_uid: str, series_instance_uid: str, objects: Collection[str]) -> set[str]:
        return set(objects) - self._rows.objects(study_instance_uid, series_instance_uid)

    def _objects(self, questions: Questions, study: str, series: str) -> Mapping[str, str]:
        objects = questions.instances(study, series)
        if not objects:
            raise DeliveryError(f"{self._source}: lists series {series} but none of its objects")
        return objects


def useful(series: Sequence[FoundSeries], rule: Rule, spec: ModelSpec) -> list[str]:
    """Series to fetch of a study, as far as an archive's answers tell; none where no image may feed the model.

    Conditions of rule and bundle are held against what the archive says; what it does not say is decided by the
    headers, once they are here.
    """
    images: list[str] = []
    for fed in spec.inputs:
        conditions = (*rule.series, *rule.inputs.get(fed.name, ()), *fed.conditions)
        fitting = [
            one for one in series
            if one.modality not in {_MASKS, _REPORTS}
            and all(evaluate(each, [one.header]).met for each in conditions if each.path[0] in one.header)
        ]  # fmt: skip
        # More images are thinner slices of the same body more often than another body.
        fitting.sort(key=lambda one: (-one.instances, one.series_instance_uid))
        images += [one.series_instance_uid for one in fitting[:_MOST_SERIES]]
    if not images:
        return []
    others = [one.series_instance_uid for one in series if one.modality == _MASKS]
    others += [one.series_instance_uid for one in series if one.modality == _REPORTS][-_MOST_SERIES:]
    return list(dict.fromkeys((*images, *others)))
