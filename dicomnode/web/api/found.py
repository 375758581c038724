"""What was found in a study: the numbers of its reports, a picture of its masks, and its results as files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, Field

from dicomnode.flow.shown.measured import numbers_of
from dicomnode.store.listed import Listing
from dicomnode.store.moving import Movements
from dicomnode.web.access import Viewer
from dicomnode.web.api.forms import UID_PATTERN, StudyUid
from dicomnode.web.desk import OpenStore
from dicomnode.web.previews import previews_of
from dicomnode.web.problem import unknown
from dicomnode.web.taken import taken

router = APIRouter(tags=["results"])

#: SQLite counts rows no further.
ResultId = Annotated[int, Path(ge=1, le=2**63 - 1, description="Of a SEG or Label Map, as `get_study` names it.")]
SopInstanceUid = Annotated[
    str, Path(pattern=UID_PATTERN, max_length=64, description="SOP Instance UID, as `get_study` names it.")
]


class Measured(BaseModel):
    """One number of a report."""

    about: str = Field(description="What was measured; the report's Tracking Identifier.")
    what: str = Field(description="Which property of it.")
    value: str = Field(description="As it stands in the report; empty: there is none.")
    unit: str = Field(description="UCUM, or as people write it; empty: it has none.")


class JobMeasured(BaseModel):
    """What the report of one job measured."""

    job_id: int
    rule: str
    model: str
    run: int
    measured: list[Measured]
    not_shown: str = Field(description="Why the numbers of its report cannot be read; empty: they can.")


class Measurements(BaseModel):
    """The numbers of a study, job by job, the newest first; none of results that were replaced or taken back."""

    jobs: list[JobMeasured]


@router.get("/studies/{study_uid}/measurements", operation_id="get_measurements", summary="What was measured")
def get_measurements(study_uid: StudyUid, caller: Viewer, opened: OpenStore) -> Measurements:
    """Read from the reports as they were sent."""
    if Listing(opened.db).study(study_uid) is None:
        raise unknown(f"study {study_uid}")
    rows, jobs = Movements(opened.db), []
    results = rows.results(study_uid)
    for job in rows.jobs(study_uid):
        found, why = numbers_of(opened.files, job, [one for one in results if one.job_id == job.job_id])
        told = [Measured(about=about, what=what, value=value, unit=unit) for about, what, value, unit in found]
        jobs.append(
            JobMeasured(
                job_id=job.job_id, rule=job.rule, model=job.model, run=job.run, measured=told, not_shown=why
            )
        )  # fmt: skip
    return Measurements(jobs=jobs)


@router.get(
    "/studies/{study_uid}/pictures/{result_id}", operation_id="get_picture", summary="A preview picture",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}, "description": "A PNG."},
        304: {"description": "It is as `If-None-Match` has it."},
    },
)  # fmt: skip
async def get_picture(
    request: Request, study_uid: StudyUid, result_id: ResultId, caller: Viewer, opened: OpenStore
) -> Response:
    """The mask of one result on the image that shows most of it; not for diagnosis."""
    return await previews_of(request).picture(request, caller, opened, study_uid, result_id)


@router.get(
    "/studies/{study_uid}/results/{sop_instance_uid}", operation_id="get_result", summary="One result as a file",
    response_class=FileResponse,
    responses={
        200: {
            "content": {"application/dicom": {"schema": {"type": "string", "format": "binary"}}},
            "description": "A DICOM file (PS3.10).",
        },
    },
)  # fmt: skip
def get_result(
    request: Request, study_uid: StudyUid, sop_instance_uid: SopInstanceUid, caller: Viewer, opened: OpenStore
) -> FileResponse:
    """For callers who may see names, since it names the patient; the audit trail is told."""
    return taken(request, caller, opened, study_uid, sop_instance_uid)
