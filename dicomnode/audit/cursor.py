"""Reads the trail line by line while others write it."""

from __future__ import annotations

from pathlib import Path

from dicomnode.audit.chain import Link, read
from dicomnode.audit.head import numbers, path_of


class Cursor:
    """A place in the trail of a folder, which begins before the first line with a number greater than `after`.

    Lines come as they stand; what is no line is passed over: `verify` tells of it. A line that is being written is not
    there yet.
    """

    def __init__(self, folder: Path, after: int = 0) -> None:
        self._folder, self._after = folder, after
        self._is_there = False
        self._number, self._offset = 0, 0

    def next(self) -> Link | None:
        """The next line; None if there is none yet.

        Raises
        ------
        OSError
            A file cannot be read.
        """
        if not self._number:
            self._number = self._begun()
        while self._number:
            path = path_of(self._folder, self._number)
            # Asked first: what is written between the two questions went to the file that is read then.
            has_successor = path_of(self._folder, self._number + 1).exists()
            with path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._offset += len(line)
                    found = read(line)
                    if found is not None and (self._is_there or found.sequence > self._after):
                        self._is_there = True
                        return found
            if not has_successor:
                break
            self._number, self._offset = self._number + 1, 0
        return None

    def _begun(self) -> int:
        """The last file that begins before what is looked for, or the first there is; 0 for none."""
        if not self._folder.is_dir():
            return 0
        there = numbers(self._folder)
        for number in reversed(there):
            with path_of(self._folder, number).open("rb") as file:
                first = read(file.readline())
            if first is not None and first.sequence <= self._after + 1:
                return number
        return there[0] if there else 0
