"""From rows and configuration to what the completion policy judges by."""

from __future__ import annotations

from datetime import timedelta

from dicomnode.complete.policy import Abandon, Complete, Patience, progress_of_series
from dicomnode.config import Completion
from dicomnode.domain.header import Header
from dicomnode.domain.study import StudyProgress
from dicomnode.store.database import Database
from dicomnode.store.set_back import wait_anew
from dicomnode.store.studies import Received, Studies


def patience(completion: Completion) -> Patience:
    """The waiting times of the configuration."""
    return Patience(
        announced=timedelta(seconds=completion.announced_seconds),
        quiet=timedelta(seconds=completion.quiet_seconds),
        long_quiet=timedelta(seconds=completion.long_quiet_seconds),
        give_up=timedelta(seconds=completion.give_up_seconds),
    )


def receiving(db: Database, studies: Studies, waits: Patience) -> list[Received]:
    """Every study that can be judged: one to which something has just come is not looked at, however many there are.

    Where the clock was set back, waiting begins anew.
    """
    wait_anew(db)
    return studies.receiving(db.clock() - waits.shortest)


def progress(received: Received) -> StudyProgress:
    """The evidence about one study, with what its series announce."""
    return StudyProgress(
        study_instance_uid=received.study_instance_uid,
        revision=received.revision,
        first_arrival_at=received.first_arrival_at,
        last_arrival_at=received.last_arrival_at,
        open_associations=received.open_associations,
        association_closed_at=received.association_closed_at,
        series=tuple(
            progress_of_series(uid, count, received.headers.get(uid, Header.of({})))
            for uid, count in received.counts.items()
        ),
        usable=any("Rows" in header for header in received.headers.values()),
    )


def completeness(progress: StudyProgress, judgement: Complete | Abandon) -> str:
    """How complete a study was when it was judged, for its reader: received of expected, and by what evidence."""
    announced = [series for series in progress.series if series.expected is not None]
    received = sum(series.received for series in progress.series)
    expected = sum(series.expected or 0 for series in announced)
    by = ", ".join(dict.fromkeys(series.expected_by for series in announced))
    where = f"{len(progress.series)} series"
    if not announced:
        words = f"{received} instances in {where}, which announce no number"
    elif len(announced) == len(progress.series):
        words = f"{received} of {expected} expected instances in {where} ({by})"
    else:
        came = sum(series.received for series in announced)
        words = (
            f"{received} instances in {where}; {came} of {expected} expected in the {len(announced)} that say ({by})"
        )
    if isinstance(judgement, Abandon):
        return f"{words}; {judgement.why}"
    return f"{words}; {judgement.evidence}" + (f"; INCOMPLETE, {judgement.short}" if judgement.short else "")
