"""Guards every request before anything answers it: the name it is sent to, its size, and the headers of the answer."""

from __future__ import annotations

import json
from ipaddress import ip_address
from socket import gethostname

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicomnode.config.tables import Web
from dicomnode.web.problem import ALWAYS, Problem

#: These paths have limits of their own, since whole studies go there.
_BULK = "/dicomweb"

#: For everything but files: forms and JSON are small.
_SMALL_BYTES = 1 << 20
_FILES = ("multipart/form-data", "application/dicom")

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
        if path.startswith(_BULK):
            await self._app(scope, receive, guarded)
            return
        limit = self._file_bytes if headers.get("content-type", "").startswith(_FILES) else _SMALL_BYTES
        await self._limited(scope, receive, guarded, limit)

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

    async def _limited(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        problem = Problem(subject="the body", found="too large", needed=f"at most {limit} bytes")
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            await _refuse(send, 413, problem)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                # Who did not say how much would come; every handler passes this on.
                raise HTTPException(413, problem.found)
            return message

        await self._app(scope, counted, send)


async def _refuse(send: Send, status: int, problem: Problem) -> None:
    body = json.dumps(problem.model_dump()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
