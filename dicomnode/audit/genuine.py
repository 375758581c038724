"""Reads those lines of the trail that follow one from the other, past what was put between them."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import structlog

from dicomnode.audit.chain import GENESIS, Link
from dicomnode.audit.cursor import Cursor

log = structlog.get_logger(__name__)


class Genuine:
    """The lines of the trail in a folder behind the one numbered `after`.

    A line that does not follow from the last one is told of in the log, and waits for the next: if that follows from
    it, the trail goes on there, since lines before it are gone or were changed; if it does not, it was put in.
    """

    def __init__(self, folder: Path, after: int = 0) -> None:
        # The line itself is read again, since the next one has to follow from it.
        self._cursor = Cursor(folder, after - 1)
        self._last, self._hash = after, "" if after else GENESIS
        self._doubtful: Link | None = None
        self._ready: deque[Link] = deque()

    def next(self) -> Link | None:
        """The next line; None if there is none yet.

        Raises
        ------
        OSError
            A file cannot be read.
        """
        while not self._ready:
            found = self._cursor.next()
            if found is None:
                return None
            self._judge(found)
        return self._ready.popleft()

    def _judge(self, found: Link) -> None:
        before = self._doubtful
        if self._follows(found):
            self._take(found)
        elif before is not None and found.sequence == before.sequence + 1 and found.follows(before.hash):
            log.error("audit_lines_missing", after=self._last, before=before.sequence)
            self._take(before, found)
        elif found.sequence <= self._last and not self._hash:
            self._hash = found.hash if found.sequence == self._last else ""
        else:
            log.error("audit_line_foreign", number=found.sequence, expected=self._last + 1)
            self._doubtful = found if found.sequence > self._last else before

    def _follows(self, found: Link) -> bool:
        # Where the file with the line before is kept elsewhere, the number has to do.
        return found.sequence == self._last + 1 and (not self._hash or found.follows(self._hash))

    def _take(self, *lines: Link) -> None:
        self._ready.extend(lines)
        self._last, self._hash, self._doubtful = lines[-1].sequence, lines[-1].hash, None
