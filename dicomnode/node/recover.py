"""Puts the store of a node in order before it begins: migrated, claims handed back, and swept of what a crash left."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread

import structlog

from dicomnode.config import Settings
from dicomnode.domain.clock import from_text
from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow import notify_systemd
from dicomnode.flow.prepared import patiently, preparing
from dicomnode.flow.storing.upgraded import tell_upgrade
from dicomnode.node.opened import open_store
from dicomnode.store.database import Database
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files
from dicomnode.store.holdings import Holdings
from dicomnode.store.jobs import Jobs

#: A command that writes a notice commits it within seconds; what is older than this has nobody who will.
_NOTICE_SECONDS = 3600.0

#: How far back before the last sign of life a crash may have left files: longer than any commit takes.
SWEPT_SECONDS = 3600.0

#: How often systemd is told that the start goes on, and how much more time it then leaves: it would stop a node that
#: migrates for longer than TimeoutStartSec, and the next start would begin anew.
_ON_SECONDS, _MORE_SECONDS = 10.0, 60.0

_log = structlog.get_logger(__name__)


class Recovery:
    """Does that beside the processes, which begin when it is done; the listener meanwhile asks for patience.

    Attributes
    ----------
    db
        A connection to the store for the supervisor; None until all is in order.
    """

    def __init__(self, settings: Settings, files: Files, roles: Sequence[str], stop: Event) -> None:
        self._settings, self._files, self._roles, self._stop = settings, files, roles, stop
        self.db: Database | None = None
        self._until = time.time()
        self._error: DicomNodeError | None = None
        self._held, self._over = Event(), Event()
        self._thread = Thread(target=self._run, name="recovery")

    def start(self) -> None:
        """Begin; the store is held by this process when this returns, unless the node shall stop."""
        self._thread.start()
        self._held.wait()

    def end(self) -> None:
        """Wait for it and close its connection.

        Raises
        ------
        DicomNodeError
            The store could not be put in order, for which the node was stopped.
        """
        self._thread.join()
        if self.db is not None:
            self.db.close()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        Thread(target=self._go_on, daemon=True, name="recovery-notice").start()
        try:
            # The node is told to end before anybody may begin.
            with self._or_end(), preparing(self._settings.store.folder, self._stop), self._or_end():
                self._held.set()
                if not self._stop.is_set():
                    self._put_in_order()
        finally:
            self._held.set()
            self._over.set()

    @contextmanager
    def _or_end(self) -> Iterator[None]:
        """Stop the node where it fails, for whatever reason: nobody else would renew leases or hand claims back."""
        try:
            yield
        except DicomNodeError as error:
            self._give_up(error)
        except OSError as error:
            self._give_up(DicomNodeError(f"store {self._settings.store.folder}: cannot be put in order ({error})"))
        except BaseException:
            self._give_up(DicomNodeError("the store could not be put in order; see the log"))
            raise

    def _give_up(self, error: DicomNodeError) -> None:
        self._error = error
        self._stop.set()

    def _put_in_order(self) -> None:
        begun = time.monotonic()
        db = patiently(lambda: open_store(self._settings)[0], self._stop)
        patiently(lambda: recover(db, self._files, self._roles, self._until), self._stop)
        tell_upgrade(db)
        self.db = db
        _log.info("store ready", seconds=round(time.monotonic() - begun, 3))

    def _go_on(self) -> None:
        while not self._over.wait(_ON_SECONDS):
            notify_systemd.longer(_MORE_SECONDS)


def recover(db: Database, files: Files, roles: Sequence[str], until: float | None = None) -> None:
    """Put right what a crash left: claims of workers that no longer exist, and files that no row names.

    `until` is the POSIX time after which a listener may write.
    """
    jobs, deliveries = Jobs(db, files), Deliveries(db, files)
    with db.transaction():
        for role in roles:
            jobs.hand_back(f"{role}-%", "the node was restarted", counts=True)
            deliveries.hand_back(f"{role}-%", "the node was restarted", counts=True)
    row = db.row("SELECT at FROM event ORDER BY event_id DESC LIMIT 1")
    last = from_text(row["at"]).timestamp() if row and row["at"] else time.time()
    sweep(db, files, roles, last - SWEPT_SECONDS, until)


def sweep(db: Database, files: Files, roles: Sequence[str], since: float, until: float | None = None) -> None:
    """Remove the files of these roles that no row names, in folders that changed after `since` (POSIX time).

    Of what is received, files that changed after `until` are left: a listener may be writing them.
    What rows have given up is left to `remove_given_up`, which heeds who holds files in their place.
    """
    removed: list[str] = []
    expected = Holdings(db, files).expected
    db.settle_log()
    try:
        if "receive" in roles:
            removed += files.sweep("studies", partial(expected, "studies"), since, until)
        if "work" in roles:
            removed += files.sweep("results", partial(expected, "results"), since)
            # Few studies have notices, so that all their folders are looked at.
            removed += files.sweep("notices", partial(expected, "notices"), 0.0, time.time() - _NOTICE_SECONDS)
    except OSError as error:
        _log.error("not everything was swept", reason=error.strerror)
    if removed:
        _log.warning("removed what a crash left behind", files=len(removed))
