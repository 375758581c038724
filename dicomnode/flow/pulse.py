"""The signs of life of the processes: each touches a file, which others see without asking it or the database."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

#: Beside the locks of the roles, which others open and write.
_SUFFIX = ".alive"

#: A process gives a sign so often.
BEAT_SECONDS = 1.0

#: A loop that asks the database may wait for it for 30 s, and says so then.
_ROUND_SECONDS = 40.0


def beat_file(store: Path, role: str) -> Path:
    """Its time of change is the last sign of life of a role, its content what that process sees of the machine."""
    return store / f"{role}{_SUFFIX}"


def note(store: Path, role: str, now: float | None = None) -> None:
    """Give a sign of life (POSIX time; None for just now); a disk that is gone is told of by others."""
    path = beat_file(store, role)
    moment = time.time() if now is None else now
    with suppress(OSError):
        try:
            os.utime(path, (moment, moment))
        except FileNotFoundError:
            path.touch(mode=0o600)
            os.utime(path, (moment, moment))


def last_ns(store: Path, role: str) -> int:
    """When the last sign was given, in nanoseconds of POSIX time; 0 for never."""
    try:
        return beat_file(store, role).stat().st_mtime_ns
    except OSError:
        return 0


def ages_seconds(store: Path, roles: tuple[str, ...], now: float | None = None) -> dict[str, float]:
    """Role → seconds since its last sign of life, of those that have ever given one."""
    moment = time.time() if now is None else now
    found = {role: last_ns(store, role) / 1e9 for role in roles}
    return {role: max(0.0, moment - last) for role, last in found.items() if last}


def say(store: Path, role: str, what: dict[str, Any]) -> None:
    """Let others know something about the machine that only this process may see; a sign of life, too."""
    path = beat_file(store, role)
    new = path.with_suffix(".new")
    with suppress(OSError):
        new.write_text(json.dumps(what))
        new.replace(path)


def said(store: Path, role: str) -> dict[str, Any]:
    """What that was; nothing where nothing was said."""
    try:
        found = json.loads(beat_file(store, role).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def beating(store: Path, role: str, goes_round: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Give signs of life from a thread meanwhile, as long as `goes_round` says that what matters does.

    A process that is stopped, starved or caught in code that never lets go of the interpreter gives none.
    """
    over = Event()

    def beat() -> None:
        while True:
            if goes_round():
                note(store, role)
            if over.wait(BEAT_SECONDS):
                return

    thread = Thread(target=beat, daemon=True, name="pulse")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


_last_round: list[float] = []


def again() -> None:
    """The loop of this process has gone round once more."""
    _last_round[:] = [time.monotonic()]


def goes_round() -> bool:
    """Whether the loop of this process goes round, where it has ever said that it does."""
    return not _last_round or time.monotonic() - _last_round[0] <= _ROUND_SECONDS
