"""The node at a glance, and who the caller is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dicomnode import __version__
from dicomnode.domain.role import Role
from dicomnode.flow.shown.words import for_caller, written
from dicomnode.store.story import Story
from dicomnode.web.access import Viewer
from dicomnode.web.desk import OpenStore, SettingsNow

router = APIRouter(tags=["node"])


class Unwell(BaseModel):
    """One thing that wants an eye."""

    study: str = Field(description="Study Instance UID; empty where it is about none.")
    what: str = Field(description="What it is: a job, a delivery to a peer, a hold.")
    reason: str


class LeftAlone(BaseModel):
    """A peer that does not answer."""

    peer: str
    next_try_at: str
    reason: str


class Held(BaseModel):
    """A model whose jobs wait because it is disabled."""

    model: str
    reason: str
    waiting: int


class Flagged(BaseModel):
    """A complaint about results."""

    study: str
    by: str
    reason: str


class Status(BaseModel):
    """How much stands where, and what wants an eye."""

    node: str = Field(description="AE title of this node.")
    version: str
    now: str = Field(description="The node's clock, UTC.")
    studies: dict[str, int] = Field(description="How many studies are in which state.")
    jobs: dict[str, int]
    deliveries: dict[str, int]
    failed: list[Unwell]
    held: list[Unwell]
    backing_off: list[LeftAlone]
    disabled: list[Held]
    flagged: list[Flagged] = Field(description="What readers complain of.")


class Myself(BaseModel):
    """The caller, as this node knows it."""

    name: str
    role: Role
    sees_names: bool = Field(description="Whether patient names and IDs are shown to it.")


@router.get("/status", operation_id="get_status", summary="The node at a glance")
def get_status(caller: Viewer, opened: OpenStore, settings: SettingsNow) -> Status:
    """How many studies, jobs and deliveries stand where, and what failed, is held, or is left alone."""
    backlog: dict[str, Any] = asdict(Story(opened.db).backlog())
    failed = [
        {**one, "reason": for_caller(one["what"], one["reason"], sees_names=caller.sees_names)}
        for one in backlog["failed"]
    ]
    held = [{"what": "hold", **one} for one in backlog["held"]]
    alone = [
        {**one, "reason": for_caller("delivery", one["reason"], sees_names=caller.sees_names)}
        for one in backlog["backing_off"]
    ]
    flagged = [
        {**one, "reason": written(one["reason"], sees_names=caller.sees_names)} for one in backlog["flagged"]
    ]  # fmt: skip
    told = {**backlog, "failed": failed, "held": held, "backing_off": alone, "flagged": flagged}
    return Status.model_validate({"node": settings.node.aet, "version": __version__, "now": opened.db.now(), **told})


@router.get("/caller", operation_id="get_caller", summary="Who I am")
def get_caller(caller: Viewer) -> Myself:
    """Name, role and rights of whoever asks."""
    return Myself(name=caller.name, role=caller.role, sees_names=caller.sees_names)
