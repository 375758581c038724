"""Chooses earlier studies by their date, and tells whose they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

from dicomnode.domain.header import Header
from dicomnode.domain.prior import PatientIdentity, Prior, PriorWish
from dicomnode.domain.study import Study


def identity_of(header: Header) -> PatientIdentity:
    """Who a data set says the patient is."""
    return PatientIdentity(
        patient_id=header.text("PatientID").strip(),
        issuer=header.text("IssuerOfPatientID").strip(),
        birth_date=header.text("PatientBirthDate").strip(),
        sex=header.text("PatientSex").strip(),
    )


def day_of(text: object) -> date | None:
    """A Study Date (PS3.5 DA, also as written before 1993 with dots); None for anything else."""
    try:
        return datetime.strptime(str(text).strip().replace(".", ""), "%Y%m%d").date()  # noqa: DTZ007 - no zone in a date
    except ValueError:
        return None


def study_day(study: Study) -> date | None:
    """The date of a study, from the first series that has one."""
    days = (day_of(series.header.first("StudyDate", "")) for series in study.series)
    return next((day for day in days if day is not None), None)


def period(day: date, wish: PriorWish) -> tuple[date, date]:
    """First and last day on which a prior of a study of `day` may have been made."""
    return day - timedelta(days=wish.within_days), day - timedelta(days=1)


def select(days: Mapping[str, date], at_most: int, fits: Callable[[str], bool]) -> tuple[list[str], date | None]:
    """Which of several studies to use: the newest that fits, then the earliest (the baseline), then the next newest.

    Beside them the day of the newest that fits and is not among them; None where there is none.
    """
    pool = deque(sorted(days, key=lambda uid: (days[uid], uid), reverse=True))
    chosen: list[str] = []
    while pool and len(chosen) < at_most:
        uid = pool.pop() if len(chosen) == 1 else pool.popleft()
        if fits(uid):
            chosen.append(uid)
    return chosen, next((days[uid] for uid in pool if fits(uid)), None)


def newest(uids: Iterable[str], days: Mapping[str, date], at_most: int) -> list[str]:
    """The newest of these studies."""
    return sorted(uids, key=lambda uid: (days[uid], uid), reverse=True)[:at_most]


def united(priors: Iterable[Prior], at_most: int) -> tuple[Prior, ...]:
    """The best of priors from several sources, and what these left out; of two of one study the first counts.

    Studies that nothing may be compared with take no other's place: the newest of them come beside, with their remarks.
    """
    by_uid: dict[str, Prior] = {}
    for prior in priors:
        by_uid.setdefault(prior.study_instance_uid, prior)
    days = {uid: one.study_date for uid, one in by_uid.items()}
    chosen, left_out = select(days, at_most, lambda uid: not by_uid[uid].remark)
    chosen += newest((uid for uid, one in by_uid.items() if one.remark), days, at_most)
    lacking = [day for one in by_uid.values() if (day := one.newest_left_out)] + ([left_out] if left_out else [])
    return tuple(replace(by_uid[uid], newest_left_out=max(lacking, default=None)) for uid in chosen)
