"""What went wrong lately, whichever study it was about, without patient data."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from dicomnode.flow.shown.words import of_story
from dicomnode.store.lately import Recent
from dicomnode.web.access import Viewer
from dicomnode.web.desk import OpenStore
from dicomnode.web.pages.drawing import page

router = APIRouter(include_in_schema=False)

_LINES = 100

#: SQLite's largest integer.
_LARGEST = 2**63 - 1


@router.get("/log")
def log(
    request: Request,
    caller: Viewer,
    opened: OpenStore,
    before: Annotated[int, Query(ge=0, le=_LARGEST)] = 0,
    every: Annotated[bool, Query(alias="all")] = False,
) -> Response:
    """The newest warnings, or every line of the history."""
    rows = Recent(opened.db).events(before=before, limit=_LINES, warnings=not every)
    # To whoever reads along, a log names nobody, whatever else they may see.
    lines = [(row, of_story(row.entity, row.arrow, row.detail, sees_names=False)) for row in rows]
    return page(
        request, "log.html", caller, lines=lines, every=every, before=before,
        older=rows[-1].event_id if len(rows) == _LINES else 0,
    )  # fmt: skip
