"""What a job tells its reader beside or in place of results: not analysed, not yet, withdrawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import structlog
from pydicom import Dataset, dcmread

from dicomnode import __version__
from dicomnode.config import Settings
from dicomnode.domain.code import Code
from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import PriorReport, Provenance
from dicomnode.domain.identity import correct
from dicomnode.domain.model import ModelSpec, unavailable
from dicomnode.domain.uid import ResultUids
from dicomnode.domain.work import Job
from dicomnode.flow.output import Output, encode_as, read_back
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.infer.read.faults import READ_FAULTS
from dicomnode.report import refusal, rejection, secondary
from dicomnode.report.heading import NOT_YET

_log = structlog.get_logger(__name__)


def provenance_of(
    settings: Settings, job: Job, spec: ModelSpec, started_at: datetime, predecessor: PriorReport | None
) -> Provenance:
    """Who makes what a job makes."""
    return Provenance(
        node_version=__version__,
        station=settings.node.aet,
        rule=job.rule,
        model=spec,
        revision=job.revision,
        run=job.run,
        started_at=started_at,
        predecessor=predecessor,
        research=job.research,
        received=job.received,
    )


def spec_of(settings: Settings, job: Job) -> ModelSpec:
    """The model of a job, also where it cannot be used."""
    bundles, _broken = find_bundles(settings.models.folder)
    return bundles.get(job.model) or unavailable(job.model)


def result_uids(job: Job) -> ResultUids:
    """The UIDs of everything this job writes."""
    return ResultUids(
        study_instance_uid=job.study_instance_uid,
        rule=job.rule,
        input_digest=job.input_digest,
        recipe_digest=job.recipe_digest,
        run=job.run,
    )


def headers_of(job: Job) -> list[Dataset]:
    """Headers of a job's inputs.

    Raises
    ------
    EncodingError
        If none of them can be read, so that not even the patient is known.
    """
    datasets: list[Dataset] = []
    for one in job.inputs:
        try:
            header = dcmread(one.path, stop_before_pixels=True)
            correct(header, job.corrections)
            datasets.append(header)
        except READ_FAULTS as error:
            _log.warning("input cannot be read", sop_instance_uid=one.sop_instance_uid, reason=type(error).__name__)
    if not datasets:
        raise EncodingError(f"job {job.job_id}: none of its {len(job.inputs)} inputs can be read")
    return datasets


def overdue(
    settings: Settings,
    job: Job,
    headers: Sequence[Dataset],
    reason: str,
    now: datetime,
    predecessor: PriorReport | None,
) -> Iterator[Output]:
    """What tells a reader that a deadline was missed: a report, and a picture where the rule makes pictures.

    Parameters
    ----------
    headers
        Of the inputs.

    Raises
    ------
    EncodingError
        If the headers are of several patients.
    """
    uids = result_uids(job)
    provenance = provenance_of(settings, job, spec_of(settings, job), now, predecessor)
    told = refusal.write(headers, reason, provenance, uids, heading=NOT_YET)
    yield read_back(encode_as("overdue", "refusal", told), headers)
    if "picture" in job.outputs:
        image = secondary.refusal(headers, reason, provenance, uids, heading=NOT_YET)
        yield read_back(encode_as("overdue-picture", "refusal-picture", image), headers)


def withdrawn(
    settings: Settings,
    job: Job,
    destination: str,
    rejected: Sequence[Dataset],
    reason: str,
    title: Code,
    now: datetime,
    predecessor: PriorReport | None,
) -> Iterator[Output]:
    """What takes back what one destination has of a job: a rejection note, and in words for who does not act on one.

    Parameters
    ----------
    rejected
        Headers of the objects that it has.

    Raises
    ------
    EncodingError
        If they are of several patients or studies.
    """
    uids = replace(result_uids(job), variant=destination)
    provenance = provenance_of(settings, job, spec_of(settings, job), now, predecessor)
    note = rejection.write(rejected, reason, title, provenance, uids)
    yield read_back(encode_as(f"rejection-{destination}", "rejection", note), rejected)
    told = refusal.withdrawal(rejected, reason, title, provenance, uids)
    yield read_back(encode_as(f"withdrawn-{destination}", "refusal", told, stands_in=True), rejected)
    image = secondary.withdrawal(rejected, reason, provenance, uids)
    picture = encode_as(f"withdrawn-picture-{destination}", "refusal-picture", image, stands_in=True)
    yield read_back(picture, rejected)
