"""Asks archives whether they have the images that this node was sent, before these may go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from dicomnode.config import Settings
from dicomnode.domain.errors import DeliveryError, PeerUnreachable
from dicomnode.domain.work import Backoff
from dicomnode.flow.commitment.line import Line
from dicomnode.store.commitments import Wanted
from dicomnode.store.database import Database
from dicomnode.store.inputs_kept import InputsKept

_log = structlog.get_logger(__name__)

#: An archive that gets its images from the same scanner has them within the hour, one that gets them by night within a
#: day.
_AGAIN = Backoff(first=timedelta(hours=1), longest=timedelta(days=1))


class InputsInquiry:
    """The questions to the archives of `inputs_confirmed_by`: a study is confirmed when each object is at one of them.

    Parameters
    ----------
    lines
        The archives by name, in the order in which they are asked.
    """

    def __init__(self, db: Database, settings: Settings, lines: Sequence[tuple[str, Line]]) -> None:
        self._db = db
        self._lines = lines
        self._backoff = settings.deliver.backoff
        self._rows = InputsKept(db)
        self._failures: dict[str, int] = {}
        self._away: dict[str, datetime] = {}

    def run_once(self) -> bool:
        """Ask about the study that has waited longest; whether there was any, and an archive to ask."""
        at = self._db.clock()
        there = [(name, line) for name, line in self._lines if name not in self._away or self._away[name] <= at]
        uid = self._rows.due() if there else None
        if uid is None:
            return False
        wanted = left = self._rows.objects(uid)
        reasons = []
        for name, line in there:
            if left:
                left, reason = self._asked(name, line, left)
                reasons.append(f"{name}: {reason}")
        with self._db.transaction():
            if not left:
                names = " and ".join(name for name, _line in there[: len(reasons)])
                self._rows.confirm(uid, at, f"{len(wanted)} objects, by C-FIND at {names}")
            elif all(name not in self._away for name, _line in self._lines):
                asked = self._rows.asked(uid) + 1
                text = f"{len(left)} of {len(wanted)} objects; {'; '.join(reasons)}"
                self._rows.put_off(uid, asked, self._db.clock() + _AGAIN.delay(asked), text)
            else:
                # Which one is away says nothing about the study, but others may be where it is not missed.
                soonest = min(self._away.values())
                self._rows.put_off(uid, self._rows.asked(uid), soonest, "")
        return True

    def _asked(self, name: str, line: Line, wanted: Sequence[Wanted]) -> tuple[list[Wanted], str]:
        """What an archive does not have, and what it says in words."""
        try:
            found = line.query(wanted)
        except PeerUnreachable as error:
            failures = self._failures[name] = self._failures.get(name, 0) + 1
            self._away[name] = self._db.clock() + self._backoff.delay(failures)
            _log.warning("peer unreachable", peer=name, reason=str(error))
            return list(wanted), str(error)
        except DeliveryError as error:
            _log.warning("images not asked for", peer=name, reason=str(error))
            return list(wanted), str(error)
        self._failures.pop(name, None)
        self._away.pop(name, None)
        left = [one for one in wanted if found.get(one.reference) != 0]
        return left, f"{len(wanted) - len(left)} of them are there"
