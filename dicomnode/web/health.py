"""Answers those who only ask whether the node is there: nothing about patients, peers or versions."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.metrics.readiness import has_room, listening, prepared, stored
from dicomnode.web.desk import SettingsNow

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
def readyz(response: Response, settings: SettingsNow) -> Ready:
    """For a load balancer or a monitor; `dicomnode check` says why, to whoever may know."""
    store = schema = disk = False
    # What does not hold is told by the field alone.
    with suppress(DicomNodeError, OSError):
        # Opening a store brings it up to date, which is not for whoever asks.
        found = stored(settings) if prepared(settings) else None
        store, schema = found is not None, found is not None and found.usable
    with suppress(DicomNodeError, OSError):
        disk = has_room(settings)
    listener = listening(settings)
    ready = store and schema and listener and disk
    response.status_code = 200 if ready else 503
    return Ready(ready=ready, store=store, schema_current=schema, listener=listener, disk=disk)
