"""Preview pictures: drawn one at a time, and kept for whoever looks next."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from pathlib import Path

from fastapi import Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from dicomnode import __version__
from dicomnode.domain.errors import Unsuitable
from dicomnode.flow.shown.preview import preview
from dicomnode.store.moving import Movements, ResultRow
from dicomnode.web.access import Caller
from dicomnode.web.acting import tell_seen
from dicomnode.web.desk import Opened
from dicomnode.web.problem import declined, unknown

#: Some hundred kilobytes each.
_KEPT = 32

#: Nobody waits longer for a picture.
_PATIENCE_SECONDS = 20.0


class Previews:
    """The pictures of one application; who waits for one holds no thread, since all other requests need these."""

    def __init__(self) -> None:
        # The listener and the worker need the machine more than a page does.
        self._one = asyncio.Lock()
        self._drawn: OrderedDict[tuple[str, bool], bytes] = OrderedDict()

    async def picture(self, request: Request, caller: Caller, opened: Opened, uid: str, result_id: int) -> Response:
        """The mask of one result on the image that shows most of it, as PNG; nothing where the caller has it.

        Raises
        ------
        Declined
            There is none, it cannot be drawn, or others are being drawn for too long.
        OutOfResources
            It cannot be recorded that a caller who may see names looks at it, and has to be.
        """
        rows = Movements(opened.db)
        results = await run_in_threadpool(rows.results, uid)
        found = next((one for one in results if one.result_id == result_id and one.here), None)
        if found is None:
            raise unknown("the picture")
        await run_in_threadpool(tell_seen, request, caller, opened, uid)
        tag = f'"{found.digest[:32]}-{__version__}-{int(caller.sees_names)}"'
        # It is anatomy without a name. Where a name may be burnt in, nothing shall keep it.
        headers = {"ETag": tag, "Cache-Control": "no-store" if caller.sees_names else "private, no-cache"}
        if request.headers.get("If-None-Match") == tag:
            return Response(status_code=304, headers=headers)
        kept = self._drawn.get((found.digest, caller.sees_names))
        if kept is None:
            images = await run_in_threadpool(rows.image_paths, uid, found.job_id)
            sources = {sop: opened.files.path(path) for sop, path in images.items()}
            kept = await self._in_turn(opened.files.path(found.path), sources, found, sees_names=caller.sees_names)
        return Response(kept, media_type="image/png", headers=headers)

    async def _in_turn(self, mask: Path, sources: dict[str, Path], found: ResultRow, *, sees_names: bool) -> bytes:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._one.acquire()
        except TimeoutError:
            raise declined(503, "the picture", "others are being drawn", "a moment later", Retry_After="10") from None
        try:
            key = (found.digest, sees_names)
            # Whoever was before us may have wanted the same.
            kept = self._drawn.get(key)
            if kept is None:
                kept = self._drawn[key] = await run_in_threadpool(preview, mask, sources, sees_names=sees_names)
                while len(self._drawn) > _KEPT:
                    self._drawn.popitem(last=False)
            return kept
        except Unsuitable as error:
            raise declined(404, "the picture", str(error), "another") from error
        finally:
            self._one.release()


def previews_of(request: Request) -> Previews:
    """Those of this application."""
    found: Previews = request.app.state.previews
    return found
