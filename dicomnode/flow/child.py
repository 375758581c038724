"""What a process of the node has to do with its supervisor: say that it is ready, and stop when told or left alone."""

from __future__ import annotations

import os
import secrets
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from threading import Event

#: Environment of a child: the descriptor whose end of file says that its supervisor is gone, and the one to
#: write a byte to when it is ready.
LIFELINE = "DICOMNODE_LIFELINE"
READY = "DICOMNODE_READY"
WORKER = "DICOMNODE_WORKER"

#: Set where a child stands by until its predecessor has made way.
HEIR = "DICOMNODE_HEIR"

#: What a child says: it is at work, it stands by, it has made way, it lives.
UP, STANDS_BY, LEFT, ALIVE = b"+", b".", b"-", b"~"

#: What it is told over its lifeline: make way for your heir, it is your turn.
MAKE_WAY, YOUR_TURN = b"m", b"t"

#: Exit status of a process to which something of the configuration is not available: a port is taken, a file is gone.
CANNOT_RUN = 2

#: How soon a process begins to make way.
_POLL_SECONDS = 0.05

#: Set when this process shall make way for its heir, or stop; when it may begin; and when it has made way.
_make_way, _turn, _left = Event(), Event(), Event()


def say_ready() -> None:
    """Tell the supervisor, if there is one, that this process is at work."""
    _say(UP)


def say_left() -> None:
    """Tell the supervisor that the heir of this process may begin."""
    _left.set()
    _say(LEFT)


def has_left() -> bool:
    """Whether this process has made way, and does for its role only what it had in hand."""
    return _left.is_set()


def say_alive() -> None:
    """Give the supervisor, if there is one, a sign of life of this process."""
    _say(ALIVE)


def wait_for_turn() -> None:
    """Stand by until the predecessor has made way, where there is one, or this process shall stop."""
    if HEIR in os.environ:
        _say(STANDS_BY)
        _turn.wait()


def is_heir() -> bool:
    """Whether this process has taken the place of another, which may still be finishing what it has in hand."""
    return HEIR in os.environ


def wait_to_leave(stop: Event) -> None:
    """Return when this process shall make way for its heir, or `stop` is set."""
    while not _make_way.is_set() and not stop.wait(_POLL_SECONDS):
        pass


def shall_leave() -> bool:
    """Whether this process shall make way for its heir, or stop."""
    return _make_way.is_set()


def _say(word: bytes) -> None:
    if READY in os.environ:
        # One that is gone hears nothing; its end of the lifeline stops this process in good order.
        with suppress(BrokenPipeError):
            os.write(int(os.environ[READY]), word)


def words(descriptor: int) -> bytes:
    """What a child has said since; asked by its supervisor, whose end of the pipe does not block, or is -1."""
    if descriptor < 0:
        return b""
    try:
        return os.read(descriptor, 64)
    except BlockingIOError:
        return b""


def stop_with_supervisor(stop: Event, hang_up: Callable[[], None] | None = None) -> None:
    """Set `stop` on SIGTERM or SIGINT, and when the supervisor is gone; call once, from the main thread.

    Parameters
    ----------
    hang_up
        Called, in another thread, for every SIGHUP; None leaves that signal as it is.
    """
    # The system may hand the signal to any thread. Python's own handler would then wait for the main thread to wake,
    # which sleeps until `stop` is set; the byte in this pipe is written at once, whichever thread was interrupted.
    caught, catch = os.pipe()
    os.set_blocking(catch, False)
    signal.set_wakeup_fd(catch, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, *((signal.SIGHUP,) if hang_up else ())):
        signal.signal(number, _noted)
    ends = [caught, *([int(os.environ[LIFELINE])] if LIFELINE in os.environ else [])]

    def watch() -> None:
        while not stop.is_set():
            for end in select.select(ends, [], [])[0]:
                said = os.read(end, 64)
                if end == caught:
                    if hang_up is not None and signal.SIGHUP in said:
                        hang_up()
                    over = bool(set(said) - {signal.SIGHUP})
                else:
                    over = not said
                    for word, event in ((MAKE_WAY, _make_way), (YOUR_TURN, _turn)):
                        if word in said:
                            event.set()
                if over:
                    stop.set()
        _make_way.set()
        _turn.set()

    threading.Thread(target=watch, daemon=True, name="lifeline").start()


def _noted(_number: int, _frame: object) -> None:
    """A signal needs a handler of Python's, or it ends the process."""


def worker_name(role: str) -> str:
    """The name under which this process holds its leases."""
    return os.environ.get(WORKER) or f"{role}-{secrets.token_hex(4)}"


def command(config: str, role: str) -> list[str]:
    """Command line of a child process."""
    return [sys.executable, "-m", "dicomnode", "run", "--config", config, "--only", role, "--child"]
