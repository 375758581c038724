"""Preview pictures of what was drawn on the images of a study."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dicomnode.web.access import Viewer
from dicomnode.web.desk import OpenStore
from dicomnode.web.pages.study import StudyUid
from dicomnode.web.previews import previews_of

router = APIRouter(include_in_schema=False)


@router.get("/studies/{uid}/pictures/{result_id}.png")
async def picture(request: Request, caller: Viewer, opened: OpenStore, uid: StudyUid, result_id: int) -> Response:
    """The mask of one result on the image that shows most of it."""
    return await previews_of(request).picture(request, caller, opened, uid, result_id)
