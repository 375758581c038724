"""Guards every request before anything answers it: the name it is sent to, its size, and the headers of the answer."""

from __future__ import annotations

import json
from ipaddress import ip_address
from socket import gethostname

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicomnode.config.tables import Web
from dicomnode.domain.errors import OutOfResources
from dicomnode.web.access import known
from dicomnode.web.desk import Desk
from dicomnode.web.problem import ALWAYS, Problem

#: For everything but files: forms and JSON are small.
SMALL_BYTES = 1 << 20

#: Where a file may be sent, by whoever is known.
_UPLOADS = ("/rules", "/api/rules/test")
_FILES = "multipart/form-data"

_STATIC = "/static/"


class Guard:
    """Refuses what is sent to a name that is not this node's (DNS rebinding) or is too large.

    Parameters
    ----------
    table
        `[web]` of the configuration.
    """

    def __init__(self, app: ASGIApp, table: Web) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in ("localhost", gethostname(), table.host, *table.names))
        self._file_bytes = table.upload_mib << 20

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or leave it to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, headers = str(scope["path"]), Headers(scope=scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = MutableHeaders(scope=message)
                for name, value in ALWAYS.items():
                    told[name] = value
                if not path.startswith(_STATIC):
                    told.setdefault("Cache-Control", "no-store")
            await send(message)

        if not self._is_ours(headers.get("host", "")):
            needed = "the name or address of this node; see web.names"
            await _refuse(guarded, 421, Problem(subject="Host", found="another name", needed=needed))
            return
        limit, status = SMALL_BYTES, 413
        if path in _UPLOADS and headers.get("content-type", "").startswith(_FILES):
            # The body is read before anybody is asked who they are: nobody in particular has no room for a file.
            limit, status = (self._file_bytes, 413) if await run_in_threadpool(_is_known, scope) else (SMALL_BYTES, 401)
        await self._limited(scope, receive, guarded, limit, status)

    def _is_ours(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if host.rpartition(":")[2].isdigit() else host
        name = name.strip("[]").rstrip(".").lower()
        if name in self._names:
            return True
        # A name that leads elsewhere is what rebinding needs; who types an address means this one.
        try:
            ip_address(name)
        except ValueError:
            return False
        return True

    async def _limited(self, scope: Scope, receive: Receive, send: Send, limit: int, status: int) -> None:
        problem = Problem(subject="the body", found="too large", needed=f"at most {limit} bytes")
        if status == 401:
            problem = Problem(subject="the caller", found="not known", needed="a bearer token, or sign in")
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            await _refuse(send, status, problem)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                # Who did not say how much would come; every handler passes this on.
                raise HTTPException(status, problem.found)
            return message

        await self._app(scope, counted, send)


def _is_known(scope: Scope) -> bool:
    request = HTTPConnection(scope)
    desk: Desk = request.app.state.desk
    try:
        with desk.opened() as opened:
            return known(request, opened)
    except OutOfResources:
        return False


async def _refuse(send: Send, status: int, problem: Problem) -> None:
    body = json.dumps(problem.model_dump()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
