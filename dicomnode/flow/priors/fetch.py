"""Finds the earlier studies that a rule can use at one archive, and brings them into the scratch area."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date

from dicomnode.domain.errors import DeliveryError, PeerUnreachable
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.prior import PriorWish
from dicomnode.domain.rule import Rule
from dicomnode.flow.priors.archive import Archive
from dicomnode.flow.priors.choice import period, select
from dicomnode.flow.priors.listing import Lack, Listing, listed
from dicomnode.flow.priors.series import Useful, useful
from dicomnode.store.database import Database
from dicomnode.store.scratch import Scratch


class Fetcher:
    """Talks to one archive for one search after the other."""

    def __init__(self, archive: Archive, db: Database, rows: Scratch, source: str) -> None:
        self._archive = archive
        self._db = db
        self._rows = rows
        self._source = source

    def look(
        self, patient_id: str, day: date, wish: PriorWish, known: Mapping[str, date], doubtful: Collection[str],
        rule: Rule, spec: ModelSpec,
    ) -> tuple[list[Listing], date | None]:  # fmt: skip
        """The studies to fetch, with all their objects that may be of use, and the newest day that is left out.

        Parameters
        ----------
        day
            Of the present study.
        known
            Earlier studies that are at hand already, which need not be fetched and count among `wish.at_most`.
        doubtful
            Such that are at hand and may not be compared with, which neither are fetched nor count.

        Raises
        ------
        Unsuitable
            The Patient ID cannot be asked for.
        PeerUnreachable, DeliveryError
            The archive gave no answer, or a failure.
        """
        wanted: dict[str, Useful] = {}
        with self._archive.asked() as questions:
            found = questions.studies(patient_id, *period(day, wish))
            days = {one.study_instance_uid: one.study_date for one in found} | dict(known)

            def fits(uid: str) -> bool:
                if uid in doubtful:
                    return False
                if uid not in known:
                    wanted[uid] = useful(questions.series(uid), rule, spec)
                return uid in known or bool(wanted[uid].images)

            chosen, left_out = select(days, wish.at_most, fits)
            new = [uid for uid in chosen if uid not in known]
        return [listed(self._archive, self._source, uid, days[uid], wanted[uid]) for uid in new], left_out

    def bring(self, listings: Sequence[Listing], wanted: Callable[[], bool]) -> list[Lack]:
        """Fetch what is not here yet, and tell what of it did not come; `wanted` is asked before each series.

        What was asked for in vain before comes last, so that a series on which an archive breaks down holds up no
        other.

        Raises
        ------
        PeerUnreachable
            The archive is gone. What did come stays.
        """
        lacks = [lack for listing in listings for lack in listing.lacks]
        steps = [(listing, series) for listing in listings for series in listing.series]
        steps.sort(key=lambda step: self._rows.asked(step[0].study_instance_uid, step[1]))
        for listing, series in steps:
            if not wanted():
                break
            text = self._bring(listing.study_instance_uid, series, listing.series[series])
            if text:
                lacks.append(Lack(text=text, image=series in listing.images))
        return lacks

    def _bring(self, study: str, series: str, objects: Mapping[str, str]) -> str:
        """Fetch a series; what lacks of it afterwards, in words."""
        remark = ""
        if self._lacking(study, series, objects):
            with self._db.transaction():
                self._rows.ask(study, [series], self._source)
            try:
                remark = self._archive.fetch(study, series, sorted({*objects.values()} - {""}))
            except PeerUnreachable:
                raise
            except DeliveryError as error:
                remark = str(error)
            finally:
                with self._db.transaction():
                    self._rows.answered(study, series, whole=not self._lacking(study, series, objects))
        elif not self._rows.whole(study, series):
            with self._db.transaction():
                self._rows.answered(study, series, whole=True)
        lacking = self._lacking(study, series, objects)
        text = f"{self._source}: {len(lacking)} of {len(objects)} objects of series {series} did not come"
        return (f"{text}; {remark}" if remark else text) if lacking else ""

    def _lacking(self, study_instance_uid: str, series_instance_uid: str, objects: Collection[str]) -> set[str]:
        return set(objects) - self._rows.objects(study_instance_uid, series_instance_uid)
