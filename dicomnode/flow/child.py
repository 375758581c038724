"""What a process of the node has to do with its supervisor: say that it is ready, and stop when told or left alone."""

from __future__ import annotations

import os
import secrets
import select
import signal
import sys
import threading
from contextlib import suppress
from threading import Event

#: Environment of a child: the descriptor whose end of file says that its supervisor is gone, and the one to
#: write a byte to when it is ready.
LIFELINE = "DICOMNODE_LIFELINE"
READY = "DICOMNODE_READY"
WORKER = "DICOMNODE_WORKER"

#: Exit status of a process to which something of the configuration is not available: a port is taken, a file is gone.
CANNOT_RUN = 2


def say_ready() -> None:
    """Tell the supervisor, if there is one, that this process is at work."""
    if READY in os.environ:
        # One that is gone hears nothing; its end of the lifeline stops this process in good order.
        with suppress(BrokenPipeError):
            os.write(int(os.environ[READY]), b"+")


def has_spoken(descriptor: int) -> bool:
    """Whether a child has said so; asked by its supervisor, whose end of the pipe does not block, or is -1."""
    if descriptor < 0:
        return False
    try:
        return bool(os.read(descriptor, 1))
    except BlockingIOError:
        return False


def stop_with_supervisor(stop: Event) -> None:
    """Set `stop` on SIGTERM or SIGINT, and when the supervisor is gone; call once, from the main thread."""
    # The system may hand the signal to any thread. Python's own handler would then wait for the main thread to wake,
    # which sleeps until `stop` is set; the byte in this pipe is written at once, whichever thread was interrupted.
    caught, catch = os.pipe()
    os.set_blocking(catch, False)
    signal.set_wakeup_fd(catch, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _noted)
    ends = [caught, *([int(os.environ[LIFELINE])] if LIFELINE in os.environ else [])]

    def watch() -> None:
        select.select(ends, [], [])
        stop.set()

    threading.Thread(target=watch, daemon=True, name="lifeline").start()


def _noted(_number: int, _frame: object) -> None:
    """A signal needs a handler of Python's, or it ends the process."""


def worker_name(role: str) -> str:
    """The name under which this process holds its leases."""
    return os.environ.get(WORKER) or f"{role}-{secrets.token_hex(4)}"


def command(config: str, role: str) -> list[str]:
    """Command line of a child process."""
    return [sys.executable, "-m", "dicomnode", "run", "--config", config, "--only", role, "--child"]
