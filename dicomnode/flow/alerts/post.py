"""Gathers what one `[[notify]]` is to be told of and hands it over, until it has arrived or is given up."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog

from dicomnode.config import Settings
from dicomnode.config.alerts import NotifyTable
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.notice import Message, Notice
from dicomnode.domain.work import Backoff
from dicomnode.flow.alerts import mail, request
from dicomnode.flow.alerts.calls import notices
from dicomnode.flow.alerts.conditions import conditions
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.retention.disk import Disk, disk_of
from dicomnode.store.database import Database
from dicomnode.store.notices import Circumstances, Notices

_log = structlog.get_logger(__name__)

#: Hands a message over; raises `OSError` or `ConfigError`.
Send = Callable[[Message, NotifyTable, str], str]

#: How often it is looked at how the node is: disks fill and certificates end in hours.
_WATCH = timedelta(minutes=1)

#: Between attempts at a message.
_BACKOFF = Backoff(first=timedelta(seconds=30), longest=timedelta(minutes=30))


def deliver(message: Message, table: NotifyTable, node: str) -> str:
    """Send by the way that the table names."""
    return (mail.send if table.host else request.send)(message, table, node)


class Post:
    """One `[[notify]]`. What is told comes from the event log, which it reads up to a mark.

    The events are written in the transactions of what they tell, so that nothing is lost and no loop has to know who
    is told. A kill between the sending and the commit that notes it sends the message again, under the same id.
    """

    def __init__(
        self, db: Database, settings: Settings, table: NotifyTable, send: Send = deliver,
        disk: Callable[[Path], Disk] = disk_of,
    ) -> None:  # fmt: skip
        self._db = db
        self._settings = settings
        self._table = table
        self._send = send
        self._disk = disk
        self._rows = Notices(db, table.name)
        self._known = Circumstances(db)
        self._watch_at = db.clock()
        with db.transaction():
            self._rows.begin()

    def run_once(self) -> bool:
        """Read events, look at the node, send what is due; whether there may be more to do at once."""
        read = self._read()
        self._watch()
        return self._dispatch() or read

    def _read(self) -> bool:
        if not self._rows.behind():
            return False
        with self._db.transaction():
            for event in self._rows.read():
                self._rows.add(list(notices(event, self._table, self._known)))
        return True

    def _watch(self) -> None:
        now = self._db.clock()
        # A clock that was set back must not make this wait.
        if self._watch_at - _WATCH <= now < self._watch_at:
            return
        self._watch_at = now + _WATCH
        found = {
            subject: Notice(topic=topic, happened_at=now, text=text)
            for subject, topic, text in conditions(self._db, self._settings, self._table.on, self._disk)
        }
        with self._db.transaction():
            new = self._rows.appeared(found)
            self._rows.add([notice for subject, notice in found.items() if subject in new])

    def _dispatch(self) -> bool:
        message = self._rows.waiting() or self._made()
        if message is None or self._rows.due_at(message) > self._db.clock():
            return False
        try:
            remark = self._send(message, self._table, self._settings.node.aet)
        except (OSError, ConfigError, ValueError) as error:
            self._failed(message, mail.in_words(error) if isinstance(error, OSError) else str(error))
            return False
        failpoint("notify.before_commit")
        with self._db.transaction():
            self._rows.sent(message, remark)
        _log.info("told", notify=message.notify, message=message.message_id, notices=sum(message.counts.values()))
        return True

    def _made(self) -> Message | None:
        """A message of all that is to be told, unless the last one was sent just now."""
        last, now = self._rows.made_at(), self._db.clock()
        pause = timedelta(seconds=self._table.every_seconds)
        if not self._rows.any() or (last is not None and timedelta() <= now - last < pause):
            return None
        with self._db.transaction():
            # Another process of this node may be about to make way, and have been faster.
            if self._rows.waiting() is None:
                self._rows.gather(uuid.uuid4().hex)
        return self._rows.waiting()

    def _failed(self, message: Message, reason: str) -> None:
        now = self._db.clock()
        late = now - message.made_at >= timedelta(hours=self._table.give_up_hours)
        with self._db.transaction():
            if late:
                self._rows.give_up(message, reason)
            else:
                self._rows.put_off(message, reason, now + _BACKOFF.delay(message.attempts + 1))
        log = _log.bind(notify=message.notify, message=message.message_id, attempts=message.attempts + 1)
        (log.error if late else log.warning)("message given up" if late else "message not sent", reason=reason)
