"""Chooses earlier studies by date, and what of one an analysis can use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from types import MappingProxyType

from dicomnode.domain.header import Header
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.prior import IDENTITY_UNCERTAIN, PatientIdentity, Prior, PriorFile, PriorKind, PriorWish
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Study
from dicomnode.flow.stacks import in_stacks
from dicomnode.report.provenance import MODEL_NAME
from dicomnode.route.inputs import feeds

_SEGMENTATIONS = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})

#: PS3.4 Table B.5-1: every Structured Report Storage class begins so.
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."


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


def select(days: Mapping[str, date], at_most: int, fits: Callable[[str], bool]) -> list[str]:
    """Which of several studies to use: the newest that fits, then the earliest (the baseline), then the next newest."""
    pool = deque(sorted(days, key=lambda uid: (days[uid], uid), reverse=True))
    chosen: list[str] = []
    while pool and len(chosen) < at_most:
        uid = pool.pop() if len(chosen) == 1 else pool.popleft()
        if fits(uid):
            chosen.append(uid)
    return chosen


def united(priors: Iterable[Prior], at_most: int) -> tuple[Prior, ...]:
    """The best of priors from several sources; of two of one study the first counts."""
    by_uid: dict[str, Prior] = {}
    for prior in priors:
        by_uid.setdefault(prior.study_instance_uid, prior)
    chosen = select({uid: one.study_date for uid, one in by_uid.items()}, at_most, lambda _: True)
    return tuple(by_uid[uid] for uid in chosen)


def prior_of(
    study: Study,
    day: date,
    source: str,
    *,
    rule: Rule,
    spec: ModelSpec,
    patient: PatientIdentity,
    results: Sequence[PriorFile] = (),
    made_here: Mapping[str, bool] = MappingProxyType({}),
) -> Prior | None:
    """What an analysis can use of an earlier study, or None where that is nothing.

    Images are those that would feed the model today by the same rule, whoever sent them; masks are all there are;
    reports are this node's.

    Parameters
    ----------
    patient
        Of the present study.
    results
        What this node keeps of its own results beside the study.
    made_here
        SOP Instance UIDs of objects that this node made → whether they still stand; those that do not are left out.
    """
    found = feeds(replace(rule, study=()), in_stacks(study), spec)
    files = [
        PriorFile(
            kind=PriorKind.IMAGE,
            series_instance_uid=series.series_instance_uid,
            sop_class_uid=one.sop_class_uid,
            sop_instance_uid=one.sop_instance_uid,
            path=one.path,
            input=name,
        )
        for feed in found[:1]
        if not feed.lacking
        for name, series in feed.series.items()
        for one in series.instances
    ]
    files += results
    known = {file.sop_instance_uid for file in files}
    for series in study.series:
        for one in series.instances:
            own = one.sop_instance_uid in made_here or one.header.first("ManufacturerModelName") == MODEL_NAME
            mask, report = one.sop_class_uid in _SEGMENTATIONS, one.sop_class_uid.startswith(_REPORTS) and own
            stands = made_here.get(one.sop_instance_uid, True)
            if (mask or report) and stands and one.sop_instance_uid not in known:
                files.append(
                    PriorFile(
                        kind=PriorKind.MASK if mask else PriorKind.REPORT,
                        series_instance_uid=series.series_instance_uid,
                        sop_class_uid=one.sop_class_uid,
                        sop_instance_uid=one.sop_instance_uid,
                        path=one.path,
                        own=own,
                    )
                )
    if not files:
        return None
    identities = {identity_of(series.header) for series in study.series}
    doubts = dict.fromkeys(keyword for one in identities for keyword in patient.doubts(one))
    return Prior(
        study_instance_uid=study.study_instance_uid,
        study_date=day,
        source=source,
        files=tuple(files),
        remark=f"{IDENTITY_UNCERTAIN}: {', '.join(doubts)} missing or not the same" if doubts else "",
    )
