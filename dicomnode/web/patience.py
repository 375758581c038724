"""HTTP of one connection, on which every request has to come in time."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

#: A browser sends its few header fields at once; who dribbles them holds a connection from others (slow loris).
HEAD_SECONDS = 15.0

#: The longest upload is small (`web.upload_mib`): on a line of 1 Mbit/s it takes nine minutes.
BODY_SECONDS = 600.0


class PatientProtocol(H11Protocol):
    """Ends a connection whose request does not come whole within these times."""

    _until: asyncio.TimerHandle | None = None
    _for: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
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
        super().connection_lost(exc)

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
        seconds = BODY_SECONDS if busy else HEAD_SECONDS
        if not self.transport.is_closing():
            self._until = self.loop.call_later(seconds, self.transport.close)

    def _forget(self) -> None:
        if self._until is not None:
            self._until.cancel()
            self._until = None
