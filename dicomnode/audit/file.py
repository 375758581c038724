"""Writes the trail: lines appended to files that only grow, by any number of threads and processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from time import monotonic

import structlog

from dicomnode.audit.chain import link, read
from dicomnode.audit.encode import to_xml
from dicomnode.audit.event import Event, Outcome, Source
from dicomnode.audit.head import (
    LOCK_SECONDS,
    Head,
    Lost,
    found_head,
    hand_over,
    locked,
    noted_head,
    numbers,
    path_of,
    read_lost,
    write_head,
    write_lost,
)
from dicomnode.audit.message import RECORDING_STARTED, alert, this_process
from dicomnode.domain.clock import Clock, to_text
from dicomnode.domain.errors import OutOfResources

log = structlog.get_logger(__name__)

#: A trail that cannot be written is complained of this often; a full disk must not become a full log.
_COMPLAINT_SECONDS = 60.0

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Trail:
    """The audit trail in a folder. Thread-safe.

    Parameters
    ----------
    folder
        Made when absent, for this account alone: messages name patients.
    limit_bytes
        A file that would grow beyond this is left, and the next begun.
    sync
        Whether a message is on the disk, and not only with the operating system, before `record` returns.
    required
        Whether what cannot be recorded must not happen.
    """

    def __init__(
        self,
        folder: Path,
        source: Source,
        clock: Clock,
        *,
        limit_bytes: int = 64 << 20,
        sync: bool = True,
        required: bool = False,
    ) -> None:
        self._folder, self._source, self._clock = folder, source, clock
        self._limit_bytes, self._sync, self._required = limit_bytes, sync, required
        self._lock = Lock()
        self._complained = -_COMPLAINT_SECONDS
        self._counting = Lock()
        #: What could not be written and is not noted beside the files either.
        self._unnoted = Lost()
        #: Messages that could not be written here since the last that could.
        self.lost = 0

    def record(self, *events: Event, kept: bool = False) -> bool:
        """Write events, in order and one beside the other; whether they are written.

        Takes one write and one fsync; gives up after `LOCK_SECONDS` where another holds the trail. What cannot be
        written is complained of and counted, and the count is the first thing that any process writes when it works
        again.

        Parameters
        ----------
        kept
            Whether the caller keeps them and comes with them again; then they do not count.

        Raises
        ------
        OutOfResources
            They cannot be written, and this trail is required.
        """
        if not events:
            return True
        try:
            if not self._lock.acquire(timeout=LOCK_SECONDS):
                raise TimeoutError(f"another thread has written for {LOCK_SECONDS:g} s")
            try:
                self._append(events)
                self.lost = 0
            finally:
                self._lock.release()
        except OSError as error:
            self._miss(0 if kept else len(events), error.strerror or str(error))
            return False
        return True

    def _miss(self, count: int, reason: str) -> None:
        if count:
            with self._counting:
                self._unnoted += Lost(count=count, since=self._now())
                self.lost += count
            with suppress(OSError), locked(self._folder, 0.0) as descriptor:
                mine = self._unnoted
                write_lost(descriptor, read_lost(descriptor) + mine)
                self._forget(mine)
        if monotonic() - self._complained >= _COMPLAINT_SECONDS:
            self._complained = monotonic()
            log.error("audit_trail_not_written", folder=str(self._folder), reason=reason, lost=self.lost)
        if self._required:
            raise OutOfResources(f"the audit trail cannot be written ({reason}), and [audit] required = true")

    def _forget(self, lost: Lost) -> None:
        """These are noted or told; expects the lock of the trail to be held."""
        with self._counting:
            left = self._unnoted.count - lost.count
            self._unnoted = replace(self._unnoted, count=left) if left else Lost()

    def _append(self, events: Sequence[Event]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self._folder) as descriptor:
            noted, mine = noted_head(descriptor), self._unnoted
            lost = read_lost(descriptor) + mine
            first = []
            if noted is None and numbers(self._folder):
                first.append("the note of where the trail ends was gone: whether lines were cut off nobody can tell")
            if lost.count:
                first.append(f"{lost.count} messages since {lost.since} could not be written")
            resumed = [alert(RECORDING_STARTED, this_process(()), None, text, Outcome.SERIOUS) for text in first]
            self._extend(descriptor, noted or found_head(self._folder), [*resumed, *events])
            for text in first:
                log.warning("audit_trail_written_again", reason=text)
            if lost.count:
                write_lost(descriptor, Lost())
                self._forget(mine)

    def _extend(self, descriptor: int, noted: Head, events: Sequence[Event]) -> None:
        head = self._reconciled(noted)
        lines = []
        for event in events:
            at = self._clock()
            message = to_xml(event, self._source, event.at or at)
            made = link(head.hash, head.sequence + 1, to_text(at), message)
            lines.append(made.line())
            head = replace(head, sequence=made.sequence, hash=made.hash)
        content = b"".join(lines)
        if head.size_bytes and head.size_bytes + len(content) > self._limit_bytes:
            head = replace(head, number=head.number + 1, size_bytes=0)
        size_bytes = self._written(head, content)
        write_head(descriptor, replace(head, size_bytes=size_bytes))

    def _written(self, head: Head, content: bytes) -> int:
        """Append to the last file; its size afterwards."""
        path = path_of(self._folder, head.number)
        descriptor = os.open(path, _APPEND, 0o600)
        try:
            hand_over(descriptor, self._folder)
            before = os.fstat(descriptor).st_size
            try:
                if os.write(descriptor, content) != len(content):
                    raise OSError(28, "no space left for the whole line")
            except OSError:
                os.ftruncate(descriptor, before)
                raise
            if self._sync:
                os.fsync(descriptor)
                if not before:
                    self._sync_folder()
            return before + len(content)
        finally:
            os.close(descriptor)

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _reconciled(self, head: Head) -> Head:
        """The end of the trail as the files have it: a crash may have come between a line and the note of it."""
        while True:
            head = self._caught_up(head)
            if not path_of(self._folder, head.number + 1).exists():
                return head
            head = replace(head, number=head.number + 1, size_bytes=0)

    def _caught_up(self, head: Head) -> Head:
        path = path_of(self._folder, head.number)
        try:
            size_bytes = path.stat().st_size
        except FileNotFoundError:
            size_bytes = 0
        if size_bytes == head.size_bytes:
            return head
        if size_bytes < head.size_bytes:
            log.error("audit_trail_was_cut", file=str(path), bytes=head.size_bytes - size_bytes)
            return replace(head, size_bytes=size_bytes)
        with path.open("r+b") as file:
            file.seek(head.size_bytes)
            for line in file.read().splitlines(keepends=True):
                next_line = read(line)
                if next_line is not None and next_line.follows(head.hash):
                    head = replace(head, sequence=next_line.sequence, hash=next_line.hash)
                elif not line.endswith(b"\n"):
                    log.warning("audit_line_unfinished", file=str(path), bytes=len(line))
                    file.truncate(head.size_bytes)
                    break
                else:
                    log.error("audit_line_foreign", file=str(path), byte=head.size_bytes)
                head = replace(head, size_bytes=head.size_bytes + len(line))
        return head

    def _now(self) -> str:
        return to_text(self._clock())
