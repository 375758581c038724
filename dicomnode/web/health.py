"""Answers those who only ask whether the node is there: nothing about patients, peers or versions."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.metrics.readiness import has_room, listening, prepared, up_to_date
from dicomnode.web.desk import SettingsNow, desk_of

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    alive: bool = True


class Ready(BaseModel):
    """Whether the node would take a study, and what of that holds."""

    ready: bool
    store: bool = Field(description="The store can be read.")
    schema_current: bool = Field(description="It has the schema of this version.")
    listener: bool = Field(description="The DICOM port takes connections.")
    disk: bool = Field(description="There is more left of the disk than the reserve.")


@router.get("/healthz", operation_id="healthz", summary="Whether this process answers; it looks at nothing else")
def healthz() -> Alive:
    """For a supervisor that restarts what does not answer."""
    return Alive()


@router.get(
    "/readyz", operation_id="readyz", summary="Whether the node would take a study",
    responses={503: {"model": Ready, "description": "Something of it does not hold."}},
)  # fmt: skip
def readyz(request: Request, response: Response, settings: SettingsNow) -> Ready:
    """For a load balancer or a monitor; `dicomnode check` says why, to whoever may know."""
    store = schema = disk = False
    try:
        if prepared(settings):
            with desk_of(request).opened() as opened:
                store, schema = True, up_to_date(opened.db)
        disk = has_room(settings)
    except (DicomNodeError, OSError):
        # What does not hold is told by the field alone.
        pass
    listener = listening(settings)
    ready = store and schema and listener and disk
    response.status_code = 200 if ready else 503
    return Ready(ready=ready, store=store, schema_current=schema, listener=listener, disk=disk)
