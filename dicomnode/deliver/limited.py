"""Ends a conversation that takes too long as a whole, however often the other side sends a byte."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from threading import Timer


class TooSlow(TimeoutError):
    """The time for the whole conversation is up."""


@contextmanager
def limited(seconds: float, connection: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Shut down what `connection` returns after so many seconds.

    Raises
    ------
    TooSlow
        In place of what that makes of the conversation.
    """
    cut: list[bool] = []

    def end() -> None:
        cut.append(True)
        with suppress(OSError):
            found = connection()
            if found is not None:
                # By another descriptor of the same connection: a TLS layer on it belongs to the thread that reads.
                with socket.socket(fileno=os.dup(found.fileno())) as same:
                    same.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, ValueError, HTTPException):
        if not cut:
            raise
    finally:
        timer.cancel()
    # Also where nothing failed: half a line that ends with the connection may read as a success.
    if cut:
        raise TooSlow(f"it took more than {seconds:g} s")
