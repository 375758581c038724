"""The signs of life of the processes: each tells its supervisor, and touches a file of its role, which others see."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from dicomnode.flow import child

#: Beside the locks of the roles, which others open and write.
_SUFFIX = ".alive"

#: A process gives a sign so often.
BEAT_SECONDS = 1.0

#: A loop that asks the database may wait for it for 30 s, and says so then.
_ROUND_SECONDS = 40.0

#: A process that has given signs of life and gives none for so long does nothing any more. Whoever waits for the
#: database does so for 30 s at most, and then says so.
_PATIENCE_SECONDS = 60.0

#: C code of radiomics lets no other thread of its process run: 24 s for the shape of one lung (DESIGN 11.4); a whole
#: body has 20 times its surface.
_PATIENCE_OF = {"work": 600.0}


def patience_seconds(role: str) -> float:
    """After how long without a sign of life a process of this role counts as one that hangs."""
    return _PATIENCE_OF.get(role, _PATIENCE_SECONDS)


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

    A process that is stopped, starved or caught in code that never lets go of the interpreter gives none. One that has
    made way says so to its supervisor alone: its role is what its heir does.
    """
    over = Event()

    def beat() -> None:
        while True:
            if goes_round():
                child.say_alive()
                if not child.has_left():
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


@contextmanager
def unhurried() -> Iterator[None]:
    """Meanwhile the process has to live and no more: an analysis takes as long as it takes."""
    _last_round.clear()
    try:
        yield
    finally:
        again()


def goes_round() -> bool:
    """Whether the loop of this process goes round, where it has ever said that it does."""
    return not _last_round or time.monotonic() - _last_round[0] <= _ROUND_SECONDS
