"""Where the trail ends and what it lacks, kept beside the files and locked by whoever writes."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from dicomnode.audit.chain import GENESIS, read

#: Who waits longer than this for the other processes gives up: each holds the lock for one write and one fsync.
LOCK_SECONDS = 2.0
_POLL_SECONDS = 0.002

_NAME = "head"
_FILE = re.compile(r"audit-([0-9]{6,})\.log")
_RECORD = re.compile(rb"([0-9]{1,18}) ([0-9a-f]{64}) ([0-9]{1,18}) ([0-9]{1,18})\s*")
_LOST = re.compile(rb"([0-9]{1,18}) ([0-9TZ:.-]+)\s*")
#: Always of one length, so that a shorter record never leaves the rest of a longer one behind.
_RECORD_BYTES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of the trail: `sequence` and `hash` of the last line, which file it is in, and how long that is."""

    sequence: int = 0
    hash: str = GENESIS
    number: int = 1
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Messages that could not be written: how many, and since when."""

    count: int = 0
    since: str = ""

    def __add__(self, other: Lost) -> Lost:
        since = min(filter(None, (self.since, other.since)), default="")
        return Lost(count=self.count + other.count, since=since)


def path_of(folder: Path, number: int) -> Path:
    """The file of the trail with this number."""
    return folder / f"audit-{number:06d}.log"


def numbers(folder: Path) -> list[int]:
    """Numbers of the files that are there, in order."""
    return sorted(int(found[1]) for path in folder.iterdir() if (found := _FILE.fullmatch(path.name)))


@contextmanager
def locked(folder: Path, seconds: float | None = None) -> Iterator[int]:
    """Hold the lock of the trail in `folder`; the descriptor of the head.

    Raises
    ------
    TimeoutError
        Others have held it for `seconds`, or `LOCK_SECONDS`.
    OSError
        The head cannot be opened.
    """
    descriptor = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        hand_over(descriptor, folder)
        patience = LOCK_SECONDS if seconds is None else seconds
        until = time.monotonic() + patience
        while True:
            try:
                flock(descriptor, LOCK_EX | LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise TimeoutError(f"another process has written for {patience:g} s") from None
                time.sleep(_POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def noted_head(descriptor: int) -> Head | None:
    """The end of the trail as its last writer has noted it; None where nothing that can be read is noted."""
    found = _RECORD.fullmatch(os.pread(descriptor, _RECORD_BYTES, 0))
    if found is None:
        return None
    sequence, digest, number, size_bytes = found.groups()
    return Head(sequence=int(sequence), hash=digest.decode(), number=int(number), size_bytes=int(size_bytes))


def found_head(folder: Path) -> Head:
    """The end of the trail as the files have it; what was cut off there is not seen."""
    for number in reversed(numbers(folder)):
        content = path_of(folder, number).read_bytes()
        lines = content.splitlines(keepends=True)
        for line in reversed(lines):
            last = read(line)
            if last is not None:
                return Head(sequence=last.sequence, hash=last.hash, number=number, size_bytes=len(content))
    return Head()


def write_head(descriptor: int, head: Head) -> None:
    """Note the end of the trail."""
    record = b"%d %s %d %d" % (head.sequence, head.hash.encode(), head.number, head.size_bytes)
    os.pwrite(descriptor, record.ljust(_RECORD_BYTES - 1) + b"\n", 0)


def read_lost(descriptor: int) -> Lost:
    """What no process could write since the last line."""
    found = _LOST.fullmatch(os.pread(descriptor, _RECORD_BYTES, _RECORD_BYTES))
    return Lost(count=int(found[1]), since=found[2].decode()) if found is not None else Lost()


def write_lost(descriptor: int, lost: Lost) -> None:
    """Note what could not be written, in the block of the head, which a full disk has already."""
    record = b"%d %s" % (lost.count, lost.since.encode()) if lost.count else b""
    os.pwrite(descriptor, record.ljust(_RECORD_BYTES - 1) + b"\n", _RECORD_BYTES)


def hand_over(descriptor: int, folder: Path) -> None:
    """Give a file that root has made by a command to the account that the folder belongs to."""
    if os.geteuid() == 0:
        owner = folder.stat()
        if (owner.st_uid, owner.st_gid) != (0, 0):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
