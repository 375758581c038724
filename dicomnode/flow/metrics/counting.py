"""Keeps the counters up to date, in the process that takes objects in."""

from __future__ import annotations

import structlog

from dicomnode.domain.errors import OutOfResources
from dicomnode.flow.metrics.fold import Fold
from dicomnode.flow.metrics.tally import Tally
from dicomnode.store.database import Database

#: More often than Prometheus asks by default (every 15 s to 60 s).
COUNT_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Counting:
    """Counts what has happened since the last time; on a connection of its own."""

    def __init__(self, db: Database, tally: Tally) -> None:
        self._db, self._tally, self._fold = db, tally, Fold(db)

    def sweep(self) -> None:
        """Count; what cannot be written now is counted the next time."""
        try:
            self._tally.write(self._db)
            self._fold.run()
        except OutOfResources as error:
            _log.error("counting put off", reason=str(error))

    def last(self) -> None:
        """Write down what was rejected; the rest is counted by whoever comes next."""
        try:
            self._tally.write(self._db)
        except OutOfResources as error:
            _log.error("rejections of the last moments not counted", reason=str(error))
