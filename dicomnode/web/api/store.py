"""The disk with what goes next, and what happened lately."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dicomnode.flow.asked.disk import DiskShown, disk_shown
from dicomnode.flow.shown.words import of_story
from dicomnode.store.lately import Event, Recent
from dicomnode.web.access import Viewer
from dicomnode.web.desk import OpenStore, SettingsNow

router = APIRouter(tags=["store"])

_MOST = 200


class Log(BaseModel):
    """What happened, the newest first."""

    events: list[Event]
    note: str = Field(
        default="The processes log to standard error, which systemd keeps: journalctl -u 'dicomnode-*'.",
        description="Where the rest is.",
    )


@router.get("/disk", operation_id="get_disk", summary="Disk and retention")
def get_disk(
    caller: Viewer,
    opened: OpenStore,
    settings: SettingsNow,
    limit: Annotated[int, Query(ge=1, le=_MOST, description="How many studies at most.")] = 50,
) -> DiskShown:
    """How full it is, how long files stay, and the studies without work for longest, with what keeps them."""
    return disk_shown(settings, opened.db, limit)


@router.get("/log", operation_id="get_log", summary="What happened lately")
def get_log(
    caller: Viewer,
    opened: OpenStore,
    before: Annotated[int, Query(ge=0, le=2**63 - 1, description="Only what came before this `event_id`; 0: all.")] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
    warnings: Annotated[bool, Query(description="Only what wants an eye.")] = False,
) -> Log:
    """From the stories of all studies; no patient is named."""
    found = Recent(opened.db).events(before=before, limit=limit, warnings=warnings)
    return Log(events=[_told(one) for one in found])


def _told(one: Event) -> Event:
    # To whoever reads along, a log names nobody, whatever else they may see.
    return Event(**{**asdict(one), "detail": of_story(one.entity, one.arrow, one.detail, sees_names=False)})
