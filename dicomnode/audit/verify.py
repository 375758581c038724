"""Finds out whether the trail is as it was written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dicomnode.audit.chain import GENESIS, Link, read
from dicomnode.audit.head import Head, locked, noted_head, numbers, path_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found.

    Attributes
    ----------
    faults
        Each with file and line, or none.
    first, last
        Numbers of the lines that are there; 0 for none.
    hash
        Of the last line: whoever notes it elsewhere can prove later that what comes before was not written anew.
    """

    files: int
    first: int
    last: int
    hash: str
    faults: tuple[str, ...]


def verify(folder: Path, first: int = 1) -> Verdict:
    """Read the whole trail; other processes may go on writing.

    Parameters
    ----------
    first
        Number of the line that the trail begins with, when files before it are kept elsewhere.

    Raises
    ------
    OSError
        Something cannot be read.
    """
    with locked(folder) as descriptor:
        head = noted_head(descriptor)
        sizes = {number: path_of(folder, number).stat().st_size for number in numbers(folder)}
    check = _Check(first)
    for number, size_bytes in sizes.items():
        path = path_of(folder, number)
        with path.open("rb") as file:
            place = 0
            while file.tell() < size_bytes and (line := file.readline()):
                place += 1
                check.line(line, f"{path.name}, line {place}")
    return Verdict(
        files=len(sizes),
        first=check.begins,
        last=check.sequence if check.begins else 0,
        hash=check.hash,
        faults=(*check.faults, *_of_end(check, head)),
    )


class _Check:
    def __init__(self, first: int) -> None:
        self.sequence, self.hash, self.begins = first - 1, GENESIS, 0
        # What a trail that begins in the middle follows is kept elsewhere.
        self._trusts_next = first > 1
        self.faults: list[str] = []

    def line(self, line: bytes, place: str) -> None:
        found = read(line)
        if found is None:
            what = "no line of an audit trail" if line.endswith(b"\n") else "cut in the middle"
            self.faults.append(f"{place}: {what}")
            return
        fault = self._fault(found)
        if fault:
            self.faults.append(f"{place}: {fault}")
        # Later lines are held against this one as it stands, so that one change is told once.
        self.sequence, self.hash = max(found.sequence, self.sequence), found.hash
        self.begins = self.begins or found.sequence
        self._trusts_next = False

    def _fault(self, found: Link) -> str:
        expected = self.sequence + 1
        numbered = f"numbered {found.sequence}, expected {expected}"
        if found.sequence > expected:
            return f"{numbered}: {found.sequence - expected} lines before it are gone"
        if found.sequence < expected:
            return f"{numbered}: inserted, or in another's place"
        if not self._trusts_next and not found.follows(self.hash):
            return f"number {found.sequence} does not follow from what stands before it: one of the two was changed"
        return ""


def _of_end(check: _Check, head: Head | None) -> list[str]:
    if head is None:
        gone = "head: is gone or cannot be read, so that nobody can tell whether lines at the end are"
        return [gone] if check.begins else []
    if head.sequence > check.sequence:
        return [f"the end: {head.sequence - check.sequence} lines after number {check.sequence} are gone"]
    if head.sequence == check.sequence and head.hash != check.hash and not check.faults:
        return [f"the end: number {head.sequence} is not the line that was written last"]
    return []
