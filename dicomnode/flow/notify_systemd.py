"""Tells systemd how the node is: ready, reloading, alive, and one line for `systemctl status` (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress


def ready() -> None:
    """The node is at work, for the first time or again after `reloading`."""
    _tell("READY=1")


def reloading() -> None:
    """A new configuration is being taken; `ready` or `failed` has to follow."""
    # The time says to systemd that this is not about an earlier reload (Type=notify-reload).
    _tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    """The node drains."""
    _tell("STOPPING=1")


def alive() -> None:
    """The watchdog may wait again."""
    _tell("WATCHDOG=1")


def status(text: str) -> None:
    """One line for people; it stands until the next."""
    _tell(f"STATUS={' '.join(text.split())}")


def longer(seconds: float) -> None:
    """What is under way, start or stop, takes so much longer; asked for again before that has passed."""
    _tell(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")


def _tell(*lines: str) -> None:
    """Send lines where systemd listens for them; elsewhere nothing.

    Nothing of it is worth a failure or a wait: whoever supervises us notices by its own clock when nothing comes.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.setblocking(False)
        notify.connect(address.replace("@", "\0", 1) if address.startswith("@") else address)
        notify.send("\n".join(lines).encode())
