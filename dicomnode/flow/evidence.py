"""From rows and configuration to what the completion policy judges by."""

from __future__ import annotations

from datetime import timedelta

from dicomnode.complete.policy import Patience, progress_of_series
from dicomnode.config import Completion
from dicomnode.domain.header import Header
from dicomnode.domain.study import StudyProgress
from dicomnode.store.studies import Received


def patience(completion: Completion) -> Patience:
    """The waiting times of the configuration."""
    return Patience(
        quiet=timedelta(seconds=completion.quiet_seconds),
        long_quiet=timedelta(seconds=completion.long_quiet_seconds),
        give_up=timedelta(seconds=completion.give_up_seconds),
    )


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
