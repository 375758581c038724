"""Results as a whole: whom a recall concerns, and whether a model drifts."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from dicomnode.flow.drift import Drifted, drifts
from dicomnode.flow.shown.words import explained
from dicomnode.store.affected import Affected, affected
from dicomnode.web.access import Viewer
from dicomnode.web.api.forms import within
from dicomnode.web.desk import OpenStore, SettingsNow

router = APIRouter(tags=["results"])

_MOST = 10_000

Part = Annotated[str, Query(max_length=64)]


class Results(BaseModel):
    """Runs with results, oldest first, and where these went."""

    results: list[Affected]
    more: bool = Field(description="Whether there are others; ask again with a later `since`.")


class Drifts(BaseModel):
    """What every model lately did on the images of each scanner, held against what it did before."""

    compared: list[Drifted]


@router.get("/results", operation_id="list_results", summary="Results of a model, for a recall")
def list_results(
    caller: Viewer,
    opened: OpenStore,
    model: Part = "",
    version: Part = "",
    scanner: Annotated[str, Query(max_length=64, description="A part of manufacturer, model or station.")] = "",
    since: Annotated[AwareDatetime | None, Query(description="The run ended then or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="The run ended before.")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 1000,
) -> Results:
    """Which studies have results of a model, and where these went."""
    found = affected(
        opened.db, model=model, version=version, scanner=scanner, since=within(since), until=within(until),
        most=limit + 1,
    )  # fmt: skip
    told = [replace(one, retracted=explained(one.retracted, sees_names=caller.sees_names)) for one in found[:limit]]
    return Results(results=told, more=len(found) > limit)


@router.get("/drift", operation_id="get_drift", summary="Whether a model drifts")
def get_drift(caller: Viewer, opened: OpenStore, settings: SettingsNow) -> Drifts:
    """By model and scanner; see `[drift]` of the configuration."""
    return Drifts(compared=drifts(opened.db, settings.drift, least=1))
