"""Judges from all evidence at hand whether a study has arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from dicomnode.domain.header import Header
from dicomnode.domain.study import SeriesProgress, StudyProgress

#: Attributes by which a data set announces how many images its series or acquisition has.
SERIES_COUNTS = ("NumberOfSeriesRelatedInstances", "ImagesInAcquisition")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for more.

    Attributes
    ----------
    announced
        After the last object, once no association that carried the study is open and every series has all the images
        that it announces; further series may follow, and nothing says that.
    quiet
        The same where not every series announces how many images it has; and where they do, but an association that
        carried the study is open.
    long_quiet
        After the last object, whatever else: a peer that keeps its association open for days says nothing by it.
    give_up
        After the last object, when announced images are still missing.
    """

    announced: timedelta
    quiet: timedelta
    long_quiet: timedelta
    give_up: timedelta

    @property
    def shortest(self) -> timedelta:
        """Nothing is complete before that after its last object."""
        return min(self.announced, self.quiet, self.long_quiet, self.give_up)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Judge again at `until`, unless something arrives before."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """The study has arrived; `evidence` says which observation decided. `short` names what never came."""

    evidence: str
    short: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandon:
    """Nothing that could be analysed came."""

    why: str


Judgement = Wait | Complete | Abandon


def progress_of_series(series_instance_uid: str, received: int, header: Header) -> SeriesProgress:
    """How much of a series has come, by what its own header announces.

    Images in Acquisition (0020,1002) and Number of Series Related Instances (0020,1209) are optional in images
    and describe a whole acquisition; a number below what has already come is no announcement and is ignored.
    """
    announced = {keyword: header.first(keyword) for keyword in SERIES_COUNTS}
    slices, times = header.first("NumberOfSlices"), header.first("NumberOfTimeSlices", 1)
    if isinstance(slices, int):
        # PS3.3 C.8.9.4: a PET series has Number of Slices times Number of Time Slices images.
        announced["NumberOfSlices"] = slices * (times if isinstance(times, int) else 1)
    for keyword, count in announced.items():
        if isinstance(count, int | float) and count >= max(received, 1):
            return SeriesProgress(
                series_instance_uid=series_instance_uid, received=received, expected=int(count), expected_by=keyword
            )
    return SeriesProgress(series_instance_uid=series_instance_uid, received=received)


def judge(progress: StudyProgress, now: datetime, patience: Patience) -> Judgement:
    """Whether to wait, to start, or to let go.

    The end of an association means nothing by itself (PS3.4 B.4.1), so it only shortens the wait. Judgements are
    monotone: once complete, a study without new objects stays complete as `now` grows; `Wait.until` lies after `now`.
    """
    last = progress.last_arrival_at
    missing = [
        series for series in progress.series if series.expected is not None and series.expected > series.received
    ]
    announced = [series for series in progress.series if series.expected is not None]
    all_here = bool(announced) and len(announced) == len(progress.series) and not missing
    here = f"all announced images are here ({announced[0].expected_by}), " if all_here else ""
    short = "; ".join(
        f"series {series.series_instance_uid}: {series.received} of {series.expected} ({series.expected_by})"
        for series in missing
    )
    if missing:
        deadline, evidence = last + patience.give_up, f"gave up {_words(patience.give_up)} after the last object"
        why = f"announced images are missing: {short}"
    elif progress.open_associations:
        wait = min(patience.quiet, patience.long_quiet) if all_here else patience.long_quiet
        deadline = last + wait
        evidence = f"{here}quiet for {_words(wait)} on an association that stays open"
        why = "an association that carried it is open"
    else:
        since = max(last, progress.association_closed_at or last)
        wait = min(patience.announced, patience.quiet) if all_here else patience.quiet
        deadline = min(since + wait, last + patience.long_quiet)
        evidence = f"{here}association closed and quiet for {_words(wait)}"
        why = "the quiet time is running"
    if now < deadline:
        return Wait(until=deadline, why=why)
    if not progress.usable:
        return Abandon(why=f"no image came; {evidence}")
    return Complete(evidence=evidence, short=short)


def _words(span: timedelta) -> str:
    return f"{span.total_seconds():g} s"
