"""What a process of the node has to do with its supervisor: say that it is ready, and stop when told or left alone."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
from threading import Event

#: Environment of a child: the descriptor whose end of file says that its supervisor is gone, and the one to
#: write a byte to when it is ready.
LIFELINE = "DICOMNODE_LIFELINE"
READY = "DICOMNODE_READY"
WORKER = "DICOMNODE_WORKER"


def say_ready() -> None:
    """Tell the supervisor, if there is one, that this process is at work."""
    if READY in os.environ:
        os.write(int(os.environ[READY]), b"+")


def stop_with_supervisor(stop: Event) -> None:
    """Set `stop` on SIGTERM or SIGINT, and when the supervisor is gone; call once, from the main thread."""

    def on_signal(_number: int, _frame: object) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    if LIFELINE in os.environ:
        descriptor = int(os.environ[LIFELINE])

        def watch() -> None:
            os.read(descriptor, 1)
            stop.set()

        threading.Thread(target=watch, daemon=True, name="lifeline").start()


def worker_name(role: str) -> str:
    """The name under which this process holds its leases."""
    return os.environ.get(WORKER) or f"{role}-{secrets.token_hex(4)}"


def command(config: str, role: str) -> list[str]:
    """Command line of a child process."""
    return [sys.executable, "-m", "dicomnode", "run", "--config", config, "--only", role, "--child"]
