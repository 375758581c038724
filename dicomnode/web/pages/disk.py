"""The disk: how full it is, how long files stay, and which go next."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dicomnode.flow.asked.disk import disk_shown
from dicomnode.web.access import Viewer
from dicomnode.web.desk import OpenStore, SettingsNow
from dicomnode.web.pages.drawing import page

router = APIRouter(include_in_schema=False)

#: Studies that are named.
_SHOWN = 25


@router.get("/disk")
def disk(request: Request, caller: Viewer, opened: OpenStore, settings: SettingsNow) -> Response:
    """The disk of the store."""
    shown = disk_shown(settings, opened.db, _SHOWN)
    marks = [("starts to be cleared at", shown.high_percent), ("is cleared down to", shown.low_percent)]
    marks = marks if shown.high_percent else []
    return page(
        request, "disk.html", caller, disk=shown, marks=marks,
        kind="bad" if shown.high_percent and shown.used_percent >= shown.high_percent else "p1",
        folder=settings.store.folder,
    )  # fmt: skip
