"""What the listening process does once the store is ready: it opens the door to it, and settles (loops 1 and 2)."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from apscheduler.schedulers.background import BackgroundScheduler

from dicomnode.config import Settings
from dicomnode.flow import child, pulse
from dicomnode.flow.commitment.desk import CommitmentDesk
from dicomnode.flow.intake import Intake
from dicomnode.flow.metrics.counting import COUNT_SECONDS, Counting
from dicomnode.flow.metrics.tally import Tally
from dicomnode.flow.overdue import Overdue
from dicomnode.flow.plan import Planner
from dicomnode.flow.preflight.tls import warn_of_expiry
from dicomnode.flow.prepared import patiently
from dicomnode.flow.pressure import Room
from dicomnode.flow.priors.own import OwnPriors
from dicomnode.flow.priors.scratch import ScratchArea
from dicomnode.flow.ready import say_ready
from dicomnode.flow.retention.room import MakeRoom
from dicomnode.flow.settle import Settle
from dicomnode.infer.read.compare import same_pixels
from dicomnode.node.audit import record_interrupted
from dicomnode.node.door import Door, LateDesk
from dicomnode.node.opened import open_store
from dicomnode.node.stow import Posts
from dicomnode.receive.scp import Listener
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.studies import Studies

#: Two images are decoded and compared within this time, or count as different.
_COMPARE_SECONDS = 60.0

#: How often receiving studies are judged: the resolution of the quiet time.
_SWEEP_SECONDS = 0.2

#: How often missed deadlines are looked for; deadlines are minutes.
_DEADLINE_SECONDS = 1.0

#: How often the disk is looked at: at 100 MB/s it gets 0.2 GB more in the meantime.
_ROOM_SECONDS = 2.0

#: How often a process that has made way looks whether anybody is left.
_LINGER_SECONDS = 0.2


def take_in(
    settings: Settings,
    stop: Event,
    files: Files,
    listener: Listener,
    door: Door,
    desk: LateDesk | None,
    tally: Tally,
    posts: Callable[[], AbstractContextManager[Posts]],
) -> None:
    """Open the store, then the door to it, and settle."""

    def connect(*, checkpoints: bool = False) -> Database:
        return patiently(lambda: open_store(settings, checkpoints=checkpoints)[0], stop)

    # A former process, which is still there, has ceased to do that; see `_make_way`.
    db, settle_db, overdue_db = connect(checkpoints=True), connect(), connect()
    commitment_db, scratch_db, room_db, counting_db = connect(), connect(), connect(), connect()
    if not child.is_heir():
        record_interrupted(db, settings)
        patiently(lambda: _forget_associations(db, files), stop)
    door.open(Intake(db, files, settings.rules, ScratchArea(scratch_db, files, settings), _room(settings)))
    if desk is not None:
        desk.desk = CommitmentDesk(commitment_db, settings)
    if child.is_heir():
        # Callers wait in the queue of the port for a moment, and need not be told to try later.
        listener.start()

    def stopped() -> bool:
        return stop.is_set() or child.shall_leave()

    planner = Planner(settings, OwnPriors(settle_db, files, settings), settle_db)
    with _pixels(stopped) as compare:
        settle = Settle(settle_db, files, settings, planner, compare, stopped)
        overdue = Overdue(overdue_db, files, settings)
        room = MakeRoom(room_db, files, settings, stopped=stopped)
        clock = _clock()
        clock.add_job(settle.sweep, "interval", seconds=_SWEEP_SECONDS, id="settle")
        clock.add_job(room.sweep, "interval", seconds=_ROOM_SECONDS, id="room")
        clock.add_job(overdue.sweep, "interval", seconds=_DEADLINE_SECONDS, id="overdue")
        now = datetime.now(UTC)
        clock.add_job(warn_of_expiry, "interval", [settings], days=1, id="expiry", next_run_time=now)
        counting = Counting(counting_db, tally)
        clock.add_job(counting.sweep, "interval", seconds=COUNT_SECONDS, id="count")
        with posts() as stow:
            # From here on the sweeps themselves say that they go round: a job of its own would, whatever they do.
            pulse.again()
            clock.start()
            say_ready()
            child.wait_to_leave(stop)
            if not stop.is_set():
                _make_way(clock, listener, stow, db, stop)
            # Both drain at the same time.
            stow.leave(settings.node.drain_seconds)
            listener.stop(settings.node.drain_seconds)
        if clock.running:
            clock.shutdown(wait=True)
        # What was rejected since, also while another process has counted the rest.
        counting.last()
    for connection in (counting_db, commitment_db, room_db, scratch_db, overdue_db, settle_db, db):
        connection.close()


def _forget_associations(db: Database, files: Files) -> None:
    with db.transaction():
        Studies(db, files).clear_associations()


def _make_way(clock: BackgroundScheduler, listener: Listener, stow: Posts, db: Database, stop: Event) -> None:
    """Let another process take over, and serve those who are connected to their end, or until `stop` is set."""
    # Two must not settle by different rules, nor move the log into the database, at the same time. What is left of a
    # sweep is for the heir; callers are served until the comparison under way is over.
    clock.shutdown(wait=True)
    stow.leave(None)
    listener.hand_on()
    db.checkpoint(False)
    child.say_left()
    while (listener.busy or stow.busy) and not stop.wait(_LINGER_SECONDS):
        # The loop of this process is this one now.
        pulse.again()


def _room(settings: Settings) -> Room:
    return Room(
        instances_per_study=settings.limits.instances_per_study,
        waiting_jobs=settings.limits.waiting_jobs,
        reserve_percent=settings.retention.reserve_percent,
    )


def _clock() -> BackgroundScheduler:
    """The scheduler; its own log would print a line for each sweep."""
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    return BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})


@contextmanager
def _pixels(stopped: Callable[[], bool]) -> Iterator[Callable[[Path, Path], bool | None]]:
    """Compare pixels in a process of its own, since a codec that crashes must not take the listener along.

    Once `stopped`, comparisons are left for whoever settles next.
    """
    pool: list[ProcessPoolExecutor] = []

    def compare(first: Path, second: Path) -> bool | None:
        if stopped():
            return None
        if not pool:
            pool.append(ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")))
        try:
            return pool[0].submit(same_pixels, first, second).result(timeout=_COMPARE_SECONDS)
        except (BrokenProcessPool, TimeoutError):
            # A codec that crashes or hangs must not stop the settling of everything else.
            for process in list((pool.pop()._processes or {}).values()):
                process.kill()
            return False

    try:
        yield compare
    finally:
        for executor in pool:
            executor.shutdown()
