"""Preview pictures: drawn one at a time, and kept for whoever looks next."""

from __future__ import annotations

from collections import OrderedDict
from threading import BoundedSemaphore, Lock

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dicomnode import __version__
from dicomnode.domain.errors import Unsuitable
from dicomnode.flow.shown.preview import preview
from dicomnode.store.moving import Movements
from dicomnode.web.access import Viewer
from dicomnode.web.desk import OpenStore
from dicomnode.web.pages.study import StudyUid
from dicomnode.web.problem import declined, unknown

router = APIRouter(include_in_schema=False)

#: Some hundred kilobytes each.
_KEPT = 32

#: The listener and the worker need the machine more than a page does, and nobody waits longer for a picture.
_ONE = BoundedSemaphore(1)
_PATIENCE_SECONDS = 20.0

_lock = Lock()
_drawn: OrderedDict[tuple[str, bool], bytes] = OrderedDict()


@router.get("/studies/{uid}/pictures/{result_id}.png")
def picture(request: Request, caller: Viewer, opened: OpenStore, uid: StudyUid, result_id: int) -> Response:
    """The mask of one result on the image that shows most of it."""
    rows = Movements(opened.db)
    found = next((one for one in rows.results(uid) if one.result_id == result_id and one.here), None)
    if found is None:
        raise unknown("the picture")
    tag = f'"{found.digest[:32]}-{__version__}-{int(caller.sees_names)}"'
    # It is anatomy without a name. Where a name may be burnt in, nothing shall keep it.
    headers = {"ETag": tag, "Cache-Control": "no-store" if caller.sees_names else "private, no-cache"}
    if request.headers.get("If-None-Match") == tag:
        return Response(status_code=304, headers=headers)
    key = (found.digest, caller.sees_names)
    with _lock:
        kept = _drawn.get(key)
    if kept is None:
        images = {sop: opened.files.path(path) for sop, path in rows.image_paths(uid, found.job_id).items()}
        if not _ONE.acquire(timeout=_PATIENCE_SECONDS):
            raise declined(503, "the picture", "others are being drawn", "a moment later", Retry_After="10")
        try:
            kept = preview(opened.files.path(found.path), images, sees_names=caller.sees_names)
        except Unsuitable as error:
            raise declined(404, "the picture", str(error), "another") from error
        finally:
            _ONE.release()
        with _lock:
            _drawn[key] = kept
            while len(_drawn) > _KEPT:
                _drawn.popitem(last=False)
    return Response(kept, media_type="image/png", headers=headers)
