"""Where the trail ends: the last line's number and hash, kept beside the files and locked by whoever writes."""

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
_RECORD = re.compile(rb"([0-9]+) ([0-9a-f]{64}) ([0-9]+) ([0-9]+)\s*")
#: Always of one length, so that a shorter record never leaves the rest of a longer one behind.
_RECORD_BYTES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of the trail: `sequence` and `hash` of the last line, which file it is in, and how long that is."""

    sequence: int = 0
    hash: str = GENESIS
    number: int = 1
    size_bytes: int = 0


def path_of(folder: Path, number: int) -> Path:
    """The file of the trail with this number."""
    return folder / f"audit-{number:06d}.log"


def numbers(folder: Path) -> list[int]:
    """Numbers of the files that are there, in order."""
    return sorted(int(found[1]) for path in folder.iterdir() if (found := _FILE.fullmatch(path.name)))


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold the lock of the trail in `folder`; the descriptor of the head.

    Raises
    ------
    TimeoutError
        Others have held it for `LOCK_SECONDS`.
    OSError
        The head cannot be opened.
    """
    descriptor = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        hand_over(descriptor, folder)
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                flock(descriptor, LOCK_EX | LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise TimeoutError(f"another process has written for {LOCK_SECONDS:g} s") from None
                time.sleep(_POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def read_head(descriptor: int, folder: Path) -> Head:
    """The end of the trail as its last writer left it; found in the files where nothing is noted."""
    found = _RECORD.fullmatch(os.pread(descriptor, _RECORD_BYTES, 0))
    if found is not None:
        sequence, digest, number, size_bytes = found.groups()
        return Head(sequence=int(sequence), hash=digest.decode(), number=int(number), size_bytes=int(size_bytes))
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


def hand_over(descriptor: int, folder: Path) -> None:
    """Give a file that root has made by a command to the account that the folder belongs to."""
    if os.geteuid() == 0:
        owner = folder.stat()
        if (owner.st_uid, owner.st_gid) != (0, 0):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
