"""The process that listens and settles (loops 1 and 2)."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from apscheduler.schedulers.background import BackgroundScheduler

from dicomnode.config import Settings
from dicomnode.config.secure import as_tls
from dicomnode.flow import child
from dicomnode.flow.commitment.desk import CommitmentDesk
from dicomnode.flow.commitment.threads import involved
from dicomnode.flow.intake import Intake
from dicomnode.flow.overdue import Overdue
from dicomnode.flow.plan import Planner
from dicomnode.flow.preflight.tls import warn_of_expiry
from dicomnode.flow.pressure import Room
from dicomnode.flow.priors.own import OwnPriors
from dicomnode.flow.priors.scratch import ScratchArea
from dicomnode.flow.retention.room import MakeRoom
from dicomnode.flow.settle import Settle
from dicomnode.infer.read.compare import same_pixels
from dicomnode.node.audit import audited_intake, record_interrupted
from dicomnode.node.opened import open_store
from dicomnode.receive.admission import Admission
from dicomnode.receive.limits import Limits
from dicomnode.receive.scp import Listener, Secure
from dicomnode.receive.users import Users
from dicomnode.store.studies import Studies
from dicomnode.tls.credentials import Credentials

#: Two images are decoded and compared within this time, or count as different.
_COMPARE_SECONDS = 60.0

#: How often receiving studies are judged: the resolution of the quiet time.
_SWEEP_SECONDS = 0.2

#: How often missed deadlines are looked for; deadlines are minutes.
_DEADLINE_SECONDS = 1.0

#: How often the disk is looked at: at 100 MB/s it gets 0.2 GB more in the meantime.
_ROOM_SECONDS = 2.0


def receive(settings: Settings, stop: Event) -> None:
    """Listen and settle until stopped (loops 1 and 2)."""
    db, files = open_store(settings, checkpoints=True)
    settle_db, _ = open_store(settings)
    overdue_db, _ = open_store(settings)
    commitment_db, _ = open_store(settings)
    record_interrupted(db, settings)
    with db.transaction():
        Studies(db, files).clear_associations()
    scratch_db, _ = open_store(settings)
    room_db, _ = open_store(settings)
    intake = Intake(db, files, settings.rules, ScratchArea(scratch_db, files, settings), _room(settings))
    recorded, turned_away = audited_intake(intake, settings)
    listener = Listener(
        aets=[settings.node.aet, *settings.node.also_called],
        on_demand_aets=settings.node.on_demand,
        host=settings.node.host,
        port=settings.node.port,
        admission=Admission(
            peers=settings.peers,
            called_aets=frozenset(settings.node.called_aets),
            accept_unknown=settings.node.accept_unknown,
        ),
        intake=recorded,
        incoming=files.incoming,
        limits=Limits(
            maximum_associations=settings.node.maximum_associations,
            maximum_associations_per_peer=settings.node.maximum_associations_per_peer,
            maximum_object_bytes=settings.limits.object_mib << 20,
            slowest_bytes_per_second=settings.limits.slowest_bytes_per_second,
            network_timeout_seconds=settings.node.network_timeout_seconds,
        ),
        secure=secure(settings),
        commitment=CommitmentDesk(commitment_db, settings) if involved(settings) else None,
        on_turned_away=turned_away,
    )
    planner = Planner(settings, OwnPriors(settle_db, files, settings), settle_db)
    with _pixels() as compare:
        settle = Settle(settle_db, files, settings, planner, compare)
        overdue = Overdue(overdue_db, files, settings)
        room = MakeRoom(room_db, files, settings, stopped=stop.is_set)
        clock = _clock()
        clock.add_job(settle.sweep, "interval", seconds=_SWEEP_SECONDS, id="settle")
        clock.add_job(room.sweep, "interval", seconds=_ROOM_SECONDS, id="room")
        clock.add_job(overdue.sweep, "interval", seconds=_DEADLINE_SECONDS, id="overdue")
        now = datetime.now(UTC)
        clock.add_job(warn_of_expiry, "interval", [settings], days=1, id="expiry", next_run_time=now)
        listener.start()
        try:
            clock.start()
            child.say_ready()
            stop.wait()
        finally:
            # Its threads would keep a process that has failed, and with it the port. Studies that are complete may
            # still settle while the last associations drain.
            listener.stop(settings.node.drain_seconds)
        clock.shutdown(wait=True)
    for connection in (commitment_db, room_db, scratch_db, overdue_db, settle_db, db):
        connection.close()


def _room(settings: Settings) -> Room:
    return Room(
        instances_per_study=settings.limits.instances_per_study,
        waiting_jobs=settings.limits.waiting_jobs,
        reserve_percent=settings.retention.reserve_percent,
    )


def secure(settings: Settings) -> Secure | None:
    """The port for TLS, if one is configured.

    Raises
    ------
    ConfigError
        One of its files cannot be used.
    """
    table = settings.tls
    if not table.port:
        return None
    return Secure(
        port=table.port,
        credentials=Credentials(as_tls(table), server=True, required=table.require_client_certificate),
        users=Users(Path(table.users)) if table.users else None,
        only=table.only,
    )


def _clock() -> BackgroundScheduler:
    """The scheduler; its own log would print a line for each sweep."""
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    return BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})


@contextmanager
def _pixels() -> Iterator[Callable[[Path, Path], bool]]:
    """Compare pixels in a process of its own: a codec that crashes must not take the listener along."""
    pool: list[ProcessPoolExecutor] = []

    def compare(first: Path, second: Path) -> bool:
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
