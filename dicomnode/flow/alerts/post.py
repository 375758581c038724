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
from dicomnode.flow.alerts.refusal import goes_beside, is_refusal
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
        """Read events, send what is due, look at the node; whether there may be more to do at once."""
        read = self._read()
        # First what is known: whatever goes wrong in a look must not stop the telling.
        sent = self._dispatch()
        return self._watch() or sent or read

    def _read(self) -> bool:
        if not self._rows.behind():
            return False
        with self._db.transaction():
            for event in self._rows.read():
                self._rows.add(list(notices(event, self._table, self._known)))
        return True

    def _watch(self) -> bool:
        """Look how the node is, if it is time; whether something of that is to be told."""
        now = self._db.clock()
        # A clock that was set back must not make this wait.
        if self._watch_at - _WATCH <= now < self._watch_at:
            return False
        self._watch_at = now + _WATCH
        found = {
            subject: Notice(topic=topic, happened_at=now, text=text)
            for subject, topic, text in conditions(self._db, self._settings, self._table.on, self._disk)
        }
        with self._db.transaction():
            new = self._rows.appeared(found)
            self._rows.add([notice for subject, notice in found.items() if subject in new])
        return bool(new)

    def _dispatch(self) -> bool:
        now = self._db.clock()
        message = next((one for one in self._on_their_way() if self._rows.due_at(one) <= now), None)
        if message is None:
            return False
        try:
            remark = self._send(message, self._table, self._settings.node.aet)
        except (OSError, ConfigError, ValueError) as error:
            words = mail.in_words(error) if isinstance(error, OSError) else str(error)
            self._failed(message, words, refused=is_refusal(error))
            return False
        failpoint("notify.before_commit")
        with self._db.transaction():
            self._rows.sent(message, remark)
        _log.info("told", notify=message.notify, message=message.message_id, notices=sum(message.counts.values()))
        return True

    def _on_their_way(self) -> list[Message]:
        """The messages that wait, with one of all that is to be told since, unless the last was made just now."""
        waiting = self._rows.waiting()
        topics = self._rows.topics()
        if not topics or not goes_beside(topics, waiting):
            return waiting
        last, now = self._rows.made_at(), self._db.clock()
        pause = timedelta(seconds=self._table.every_seconds)
        if last is not None and timedelta() <= now - last < pause:
            return waiting
        with self._db.transaction():
            # Another process of this node may be about to make way, and have been faster.
            if len(self._rows.waiting()) == len(waiting):
                self._rows.gather(uuid.uuid4().hex)
        return self._rows.waiting()

    def _failed(self, message: Message, reason: str, *, refused: bool) -> None:
        now = self._db.clock()
        late = now - message.made_at >= timedelta(hours=self._table.give_up_hours)
        with self._db.transaction():
            if late:
                self._rows.give_up(message, reason)
            else:
                self._rows.put_off(message, reason, now + _BACKOFF.delay(message.attempts + 1), refused=refused)
        log = _log.bind(notify=message.notify, message=message.message_id, attempts=message.attempts + 1)
        (log.error if late else log.warning)("message given up" if late else "message not sent", reason=reason)
