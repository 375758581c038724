"""What a first result does not wait for: the comparison with earlier studies, which the next run makes."""

from __future__ import annotations

from dicomnode.domain.finding import Findings
from dicomnode.domain.response import COMPARED_LATER
from dicomnode.domain.work import Job

#: What a reader is told of a result from the second attempt on.
_WITHOUT = "an attempt with the earlier studies ended without a result, so this one was made without them"


def left_out(job: Job, max_attempts: int) -> str:
    """Why a job does not compare with the earlier studies that it was given; empty where it does.

    To read, register and perhaps analyse images of earlier studies takes longer than all else. Where there are none
    to read, the first run compares.
    """
    if job.run == 1 and any(prior.images and not prior.remark for prior in job.priors):
        return COMPARED_LATER
    # An earlier study may be what ended the attempt before this one. A first result is worth more than it; a later run
    # is there to compare, and only its last attempt goes without.
    last = job.attempts > 1 and (job.run == 1 or job.attempts >= max_attempts)
    return _WITHOUT if last and job.priors else ""


def postponed(findings: Findings) -> bool:
    """Whether a run has left a comparison to the next one."""
    return findings.comparison is not None and findings.comparison.not_comparable == COMPARED_LATER
