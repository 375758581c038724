"""Waits for a condition with a deadline; the only place where these tests pass time."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Found = TypeVar("Found")

#: How long anything may take on a machine that is busy with other things.
PATIENCE_SECONDS = 60.0

_INTERVAL_SECONDS = 0.05

#: Below what Linux takes for outgoing connections (ip_local_port_range of ip(7), from 32768 on).
_NEVER_GIVEN = range(20000, 32768)


def eventually(condition: Callable[[], Found], seconds: float = PATIENCE_SECONDS, what: str = "") -> Found:
    """The first truthy answer of `condition`; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what or condition!r}; last answer {found!r}")
        time.sleep(_INTERVAL_SECONDS)


def free_port() -> int:
    """A port on which nothing listens, and that the system gives to no outgoing connection before it is used."""
    while True:
        port = secrets.choice(_NEVER_GIVEN)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
