"""Studies: searched for page by page, and one with its story, its times, and what is owed of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from dicomnode.domain.clock import to_text
from dicomnode.flow.shown.times import Stage, journey, stages
from dicomnode.flow.shown.words import explained, for_caller, of_story
from dicomnode.store.listed import STANDINGS, Listed, Listing, Wanted
from dicomnode.store.moving import DeliveryRow, JobRow, Movements, ResultRow
from dicomnode.store.story import Line, Story
from dicomnode.web.access import Caller, Viewer
from dicomnode.web.acting import tell_listed, tell_seen
from dicomnode.web.api.forms import StudyUid, within
from dicomnode.web.desk import Opened, OpenStore
from dicomnode.web.problem import declined, unknown

router = APIRouter(tags=["studies"])

#: Nobody turns further, and a number without limit does not fit into the database.
_FURTHEST = 1_000_000
_MOST = 200

Standing = Literal[
    "held", "failed", "running", "waiting", "receiving", "withdrawn", "done", "nothing to do",
]  # fmt: skip
assert Standing.__args__ == STANDINGS  # type: ignore[attr-defined]

Offset = Annotated[int, Query(ge=0, le=_FURTHEST, description="How many to leave out.")]
Limit = Annotated[int, Query(ge=1, le=_MOST, description="How many at most.")]
Uid = Annotated[str, Query(pattern=r"^[0-9.]{0,64}$", description="How the Study Instance UID begins.")]


class Row(BaseModel):
    """A form that is filled from a row."""

    model_config = ConfigDict(from_attributes=True)


class Patient(Row):
    """Whose study it is, as its first series says."""

    patient_name: str
    patient_id: str
    birth_date: str = Field(description="YYYYMMDD, or empty.")
    sex: str
    accession_number: str
    description: str = Field(description="Study Description.")


class StudyRow(Row):
    """A study as lists show it."""

    study_instance_uid: str
    state: str = Field(description="receiving, settled or abandoned.")
    standing: Standing = Field(description="Where it stands on the whole, with the worst of its jobs and deliveries.")
    reason: str = Field(description="Why it is in this state.")
    held: str = Field(description="Why nothing runs on it until an operator decides; empty: it is not held.")
    peer: str = Field(description="Name of the peer that sent it; empty: none of the configuration.")
    calling_aet: str
    called_aet: str
    first_arrival_at: str = Field(description="UTC, as all times here.")
    last_arrival_at: str
    objects: int
    modalities: tuple[str, ...]
    study_date: str = Field(description="YYYYMMDD, or empty.")
    patient: Patient | None = Field(default=None, description="Only for callers who may see names.")


class Studies(BaseModel):
    """One page of studies, the newest first."""

    studies: list[StudyRow]
    more: bool = Field(description="Whether others follow; ask again with a greater `offset`.")


class Search(BaseModel):
    """What to search for; what is left out does not count."""

    patient: str = Field(min_length=1, max_length=64, description="Part of the name, or how the ID begins.")
    uid: str = Field(default="", pattern=r"^[0-9.]{0,64}$", description="How the Study Instance UID begins.")
    standing: Standing | None = None
    offset: int = Field(default=0, ge=0, le=_FURTHEST)
    limit: int = Field(default=50, ge=1, le=_MOST)


class Event(Row):
    """One line of the story."""

    at: str
    entity: str
    entity_id: str
    arrow: str
    detail: str


class Timed(Row):
    """One stage and how long it took."""

    name: str
    seconds: float


class JobShown(Row):
    """One job, with its times."""

    job_id: int
    rule: str
    model: str
    series_instance_uid: str
    state: str
    reason: str
    run: int
    attempts: int
    created_at: str
    changed_at: str
    research: bool
    retracted: str
    superseded: bool
    received: str = Field(description="Instances received of those expected, in words.")
    stages: list[Timed] = Field(default=[], description="What the analysis consisted of.")
    journey: list[Timed] = Field(default=[], description="From the first object to the last delivery.")


class ResultShown(Row):
    """One object that this node has made."""

    result_id: int
    job_id: int
    role: str
    kind: str
    occasion: str = Field(description="What it was made for: a result, or what takes one back.")
    sop_class_uid: str
    sop_instance_uid: str
    size_bytes: int
    created_at: str
    here: bool = Field(description="Whether its file is still here.")


class DeliveryShown(Row):
    """One object owed to one destination."""

    delivery_id: int
    result_id: int
    role: str
    destination: str
    state: str
    reason: str
    attempts: int
    changed_at: str
    confirmed_at: str
    confirmed_by: str = Field(description="How the destination has confirmed to keep it; empty: it has not.")
    can_go_again: bool = Field(description="Whether `resend` takes it.")


class SeriesShown(Row):
    """One series as it lies in the store."""

    series_instance_uid: str
    modality: str
    number: str
    objects: int
    size_bytes: int
    here: int = Field(description="How many of the objects are still here.")


class StudyShown(BaseModel):
    """One study with everything that is known of it."""

    study: StudyRow
    series: list[SeriesShown]
    jobs: list[JobShown]
    results: list[ResultShown]
    deliveries: list[DeliveryShown]
    story: list[Event] = Field(description="What happened, oldest first.")


@router.get(
    "/studies", operation_id="list_studies", summary="Studies, the newest first", response_model_exclude_none=True
)
def list_studies(
    request: Request,
    caller: Viewer,
    opened: OpenStore,
    uid: Uid = "",
    since: Annotated[AwareDatetime | None, Query(description="The last object came then or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="The last object came before.")] = None,
    standing: Annotated[Standing | None, Query(description="Where it stands on the whole.")] = None,
    offset: Offset = 0,
    limit: Limit = 50,
) -> Studies:
    """Searched for by UID, time and standing; by patient with `search_studies`, since no address shall hold a name."""
    wanted = Wanted(uid=uid, since=_text(since), until=_text(until), standing=standing or "")
    return _found(request, opened, caller, wanted, offset, limit)


@router.post("/search", operation_id="search_studies", summary="Studies of a patient", response_model_exclude_none=True)
def search_studies(request: Request, caller: Viewer, opened: OpenStore, search: Search) -> Studies:
    """Searched for by patient, for callers who may see names."""
    if not caller.sees_names:
        raise declined(403, "the caller", "may not see who the patients are", "an account that may")
    wanted = Wanted(uid=search.uid, patient=search.patient, standing=search.standing or "")
    return _found(request, opened, caller, wanted, search.offset, search.limit)


@router.get("/studies/{study_uid}", operation_id="get_study", summary="One study", response_model_exclude_none=True)
def get_study(request: Request, study_uid: StudyUid, caller: Viewer, opened: OpenStore) -> StudyShown:
    """Series, jobs with their times, results, deliveries, and the story that `dicomnode why` tells."""
    found = Listing(opened.db).study(study_uid)
    if found is None:
        raise unknown(f"study {study_uid}")
    tell_seen(request, caller, opened, study_uid)
    rows, lines = Movements(opened.db), Story(opened.db).why(study_uid)
    results, deliveries = rows.results(study_uid), rows.deliveries(study_uid)
    return StudyShown(
        study=_row(found, caller),
        series=[SeriesShown.model_validate(one) for one in rows.series(study_uid)],
        jobs=[_job(one, lines, results, deliveries, caller) for one in rows.jobs(study_uid)],
        results=[ResultShown.model_validate(one) for one in results],
        deliveries=[_delivery(one, caller) for one in deliveries],
        story=[_event(one, caller) for one in lines],
    )


def _found(
    request: Request, opened: Opened, caller: Caller, wanted: Wanted, offset: int, limit: int
) -> Studies:  # fmt: skip
    tell_listed(request, caller, {**asdict(wanted), "offset": offset, "limit": limit})
    found, more = Listing(opened.db).studies(wanted, offset=offset, limit=limit)
    return Studies(studies=[_row(one, caller) for one in found], more=more)


def _row(one: Listed, caller: Caller) -> StudyRow:
    row = StudyRow.model_validate(one)
    return row.model_copy(update={"patient": Patient.model_validate(one)}) if caller.sees_names else row


def _job(
    job: JobRow, lines: list[Line], results: list[ResultRow], deliveries: list[DeliveryRow], caller: Caller
) -> JobShown:  # fmt: skip
    own = {one.result_id for one in results if one.job_id == job.job_id and not one.occasion}
    sent = [one for one in deliveries if one.result_id in own]
    ended = max((one.changed_at for one in sent), default="") if all(one.state == "done" for one in sent) else ""
    shown = JobShown.model_validate(job)
    told = {
        "retracted": explained(job.retracted, sees_names=caller.sees_names),
        "stages": _timed(stages(job.reason) if job.state == "done" else []),
        "journey": _timed(journey(lines, job.job_id, job.rule, ended)),
    }
    return shown.model_copy(update=told)


def _timed(found: list[Stage]) -> list[Timed]:
    return [Timed.model_validate(one) for one in found]


def _delivery(one: DeliveryRow, caller: Caller) -> DeliveryShown:
    reason = for_caller("delivery", one.reason, sees_names=caller.sees_names)
    return DeliveryShown.model_validate({**asdict(one), "reason": reason})


def _event(line: Line, caller: Caller) -> Event:
    return Event.model_validate(
        {**asdict(line), "detail": of_story(line.entity, line.arrow, line.detail, sees_names=caller.sees_names)}
    )


def _text(moment: datetime | None) -> str:
    """As the database writes times."""
    kept = within(moment)
    return to_text(kept) if kept else ""
