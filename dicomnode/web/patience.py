"""HTTP of one connection, on which every request has to come, and every answer be read, in time."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from dicomnode.web.guard import SMALL_BYTES
from dicomnode.web.rates import place_of

#: A browser sends its few header fields at once; who dribbles them holds a connection from others (slow loris).
HEAD_SECONDS = 15.0

#: A form is a few packets.
FORM_SECONDS = 15.0

#: The longest upload is small (`web.upload_mib`): on a line of 1 Mbit/s it takes nine minutes. Who is not known has no
#: room for one (`guard`), so that nobody holds a connection for so long with a length that they only announce.
BODY_SECONDS = 600.0

#: What waits to be read is some 64 KiB (the high-water mark of asyncio), which a slow line takes in this time.
READ_SECONDS = 30.0

#: Connections of one address at once; a browser opens six. What comes through a proxy comes from one address.
MOST_OF_ONE = 50


class PatientProtocol(H11Protocol):
    """Ends a connection whose request does not come whole, or whose answer is not read, within these times."""

    _until: asyncio.TimerHandle | None = None
    _for: object = None
    _unread: asyncio.TimerHandle | None = None

    @staticmethod
    def is_proxy(_address: str, /) -> bool:
        """Whether what comes from an address comes from many."""
        return False

    @property
    def place(self) -> str:
        """What counts as the address of this connection."""
        return place_of(self.client[0]) if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        mine: list[Any] = [one for one in self.connections if getattr(one, "place", None) == self.place]
        if len(mine) > MOST_OF_ONE and not self.is_proxy(self.place):
            transport.abort()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Wait for what is still to come."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._forget()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for the other side to read."""
        super().pause_writing()
        self._unread = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Wait no more for that."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def _watch(self) -> None:
        """The clock starts anew when there is something else to wait for, not with every byte."""
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        busy = cycle is not None and not cycle.response_complete
        now = (cycle, not cycle.more_body) if busy else None
        if self._until is not None and self._for == now:
            return
        self._forget()
        self._for = now
        if busy and not cycle.more_body:
            return  # the answer is being made
        seconds = _body_seconds(cycle.scope) if busy else HEAD_SECONDS
        if not self.transport.is_closing():
            self._until = self.loop.call_later(seconds, self._end)

    def _end(self) -> None:
        # Closing would wait for what is written to be read.
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _forget(self) -> None:
        if self._until is not None:
            self._until.cancel()
            self._until = None


def _body_seconds(scope: Scope) -> float:
    """How long the body of a request may take, by how long it says that it is."""
    length = Headers(scope=scope).get("content-length", "")
    return BODY_SECONDS if length.isdigit() and int(length) > SMALL_BYTES else FORM_SECONDS
