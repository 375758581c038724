"""The composition root: settings in, running node out; the one file that puts rooms, store and loops together."""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from threading import Event
from typing import IO

import pydicom.config
import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from dicomnode import log
from dicomnode.config import Settings
from dicomnode.config.secure import as_tls
from dicomnode.deliver import dimse
from dicomnode.domain.clock import from_text
from dicomnode.domain.errors import DicomNodeError, OutOfResources
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow import child
from dicomnode.flow.checkpoint import checkpoint_alone, lock_file
from dicomnode.flow.deidentified import deidentifying
from dicomnode.flow.dispatch import Dispatcher
from dicomnode.flow.inquiry import asker
from dicomnode.flow.intake import Intake
from dicomnode.flow.loop import drive
from dicomnode.flow.outbox import Outbox, Send
from dicomnode.flow.overdue import Overdue
from dicomnode.flow.plan import Planner
from dicomnode.flow.preflight_tls import warn_of_expiry
from dicomnode.flow.pressure import Room
from dicomnode.flow.priors import Priors
from dicomnode.flow.priors_archive import DimseArchive
from dicomnode.flow.priors_own import OwnPriors
from dicomnode.flow.priors_scratch import ScratchArea
from dicomnode.flow.priors_threads import PriorThreads
from dicomnode.flow.settle import Settle
from dicomnode.flow.supervise import Supervisor
from dicomnode.infer.read.compare import same_pixels
from dicomnode.receive.admission import Admission
from dicomnode.receive.limits import Limits
from dicomnode.receive.scp import Listener, Secure
from dicomnode.receive.users import Users
from dicomnode.store.database import Database
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs
from dicomnode.store.studies import Studies
from dicomnode.tls.credentials import Credentials

ROLES = ("receive", "work", "deliver")

#: Two images are decoded and compared within this time, or count as different.
_COMPARE_SECONDS = 60.0

#: How often receiving studies are judged: the resolution of the quiet time.
_SWEEP_SECONDS = 0.2

#: How often missed deadlines are looked for; deadlines are minutes.
_DEADLINE_SECONDS = 1.0

#: A command that writes a notice commits it within seconds; what is older than this has nobody who will.
_NOTICE_SECONDS = 3600.0

#: How far back before the last sign of life a crash may have left files: longer than any commit takes.
_SWEPT_SECONDS = 3600.0

#: What a process may take beyond its drain time before it is killed or no longer waited for.
_MARGIN_SECONDS = 5.0

#: What a node writes is patient data, so no other account may read it, however the node is started.
_PRIVATE = 0o077

_log = structlog.get_logger(__name__)


def open_store(settings: Settings, *, checkpoints: bool = False) -> tuple[Database, Files]:
    """The store of these settings, made when absent."""
    files = Files(settings.store.folder)
    return Database(settings.store.folder / "node.db", checkpoints=checkpoints), files


def receive(settings: Settings, stop: Event) -> None:
    """Listen and settle until stopped (loops 1 and 2)."""
    db, files = open_store(settings, checkpoints=True)
    settle_db, _ = open_store(settings)
    overdue_db, _ = open_store(settings)
    with db.transaction():
        Studies(db, files).clear_associations()
    scratch_db, _ = open_store(settings)
    intake = Intake(db, files, settings.rules, ScratchArea(scratch_db, files, settings), _room(settings))
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
        intake=intake,
        incoming=files.incoming,
        limits=Limits(
            maximum_associations=settings.node.maximum_associations,
            maximum_associations_per_peer=settings.node.maximum_associations_per_peer,
            maximum_object_bytes=settings.limits.object_mib << 20,
            slowest_bytes_per_second=settings.limits.slowest_bytes_per_second,
            network_timeout_seconds=settings.node.network_timeout_seconds,
        ),
        secure=_secure(settings),
    )
    planner = Planner(settings, OwnPriors(settle_db, files, settings))
    with _pixels() as compare:
        settle = Settle(settle_db, files, settings, planner, compare)
        overdue = Overdue(overdue_db, files, settings)
        clock = _clock()
        clock.add_job(settle.sweep, "interval", seconds=_SWEEP_SECONDS, id="settle")
        clock.add_job(overdue.sweep, "interval", seconds=_DEADLINE_SECONDS, id="overdue")
        now = datetime.now(UTC)
        clock.add_job(warn_of_expiry, "interval", [settings], days=1, id="expiry", next_run_time=now)
        listener.start()
        clock.start()
        child.say_ready()
        stop.wait()
        # Studies that are complete may still settle while the last associations drain.
        listener.stop(settings.node.drain_seconds)
        clock.shutdown(wait=True)
    for connection in (scratch_db, overdue_db, settle_db, db):
        connection.close()


def _room(settings: Settings) -> Room:
    return Room(instances_per_study=settings.limits.instances_per_study, waiting_jobs=settings.limits.waiting_jobs)


def _secure(settings: Settings) -> Secure | None:
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


def work(settings: Settings, stop: Event) -> None:
    """Run jobs until stopped (loop 3)."""
    # Imported here, since the other processes do well without 150 MB of inference and radiomics.
    from dicomnode.flow.work import Worker
    from dicomnode.infer.network.session import Sessions

    db, files = open_store(settings)
    # What does not fit into memory goes where the disk is: /tmp may be memory itself.
    sessions = Sessions(settings.work.threads, settings.work.device, scratch=settings.store.folder)
    sessions.radiomics_processes = settings.work.radiomics_processes
    worker = Worker(db, files, settings, sessions, child.worker_name("work"))
    child.say_ready()
    with closing(db):
        drive(worker.run_once, db, stop)


def deliver(settings: Settings, stop: Event) -> None:
    """Send results until stopped (loop 4)."""
    files = Files(settings.store.folder)
    name = child.worker_name("deliver")
    send = deidentifying(sender(settings), settings)

    def connect() -> Database:
        return open_store(settings)[0]

    def outbox(db: Database) -> Outbox:
        return Outbox(db, files, settings, send, name, asker(settings))

    def priors(db: Database, source: str) -> Priors:
        area = ScratchArea(db, files, settings)
        return Priors(
            db, files, settings, source, area, lambda peer: DimseArchive(peer, settings, files, area), stop.is_set
        )

    def clean(db: Database) -> None:
        ScratchArea(db, files, settings).clean()

    sources = {source: None for rule in settings.rules if rule.priors for source in rule.priors.peers}
    child.say_ready()
    with PriorThreads(connect, priors, clean, list(sources), stop).running():
        Dispatcher(connect, outbox, stop).run()


def sender(settings: Settings) -> Send:
    """What the outbox sends with: C-STORE under this node's AE title."""
    timeouts = dimse.Timeouts(
        connect_seconds=settings.deliver.connect_timeout_seconds,
        dimse_seconds=settings.deliver.response_timeout_seconds,
    )

    def send(peer: Peer, batch: Sequence[Delivery]) -> Generator[Receipt]:
        files = [
            dimse.Outgoing(
                sop_class_uid=one.sop_class_uid,
                sop_instance_uid=one.sop_instance_uid,
                transfer_syntax_uid=one.transfer_syntax_uid,
                path=one.path,
            )
            for one in batch
        ]
        yield from dimse.send(peer, files, calling_aet=settings.node.aet, timeouts=timeouts)

    return send


def run_child(settings: Settings, role: str) -> None:
    """Be one of the node's processes until told to stop."""
    os.umask(_PRIVATE)
    # Peers send what they send; a value that breaks a rule is judged by who needs it, and warnings would print it.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    log.configure(settings.log.level, settings.log.format, role)
    stop = Event()
    child.stop_with_supervisor(stop)
    {"receive": receive, "work": work, "deliver": deliver}[role](settings, stop)
    _log.info("process drained")
    # Everything of ours is committed and closed; a thread of the network library that waits for a peer which has
    # vanished must not keep the process.
    sys.stderr.flush()
    os._exit(0)


def run(settings: Settings, path: Path, roles: Sequence[str]) -> int:
    """Supervise the processes of `roles` until SIGTERM; the exit status.

    Raises
    ------
    DicomNodeError
        If another node already runs one of them on this store.
    ConfigError
        If TLS is asked for and its files cannot be used: a child that finds this out is started again and again.
    """
    os.umask(_PRIVATE)
    log.configure(settings.log.level, settings.log.format, "node")
    if "receive" in roles:
        _secure(settings)
    stop = Event()
    child.stop_with_supervisor(stop)
    db, files = open_store(settings)
    locks = [_only_one(settings, role, stop) for role in roles]
    _recover(db, files, roles)
    jobs, deliveries = Jobs(db, files), Deliveries(db, files)
    lease = timedelta(seconds=settings.work.lease_seconds)

    def beat(workers: Sequence[str]) -> None:
        try:
            with db.transaction():
                for worker in workers:
                    jobs.heartbeat(worker, lease)
                    deliveries.heartbeat(worker, lease)
            checkpoint_alone(db, settings.store.folder)
        except OutOfResources as error:
            _log.error("no heartbeat", reason=str(error))

    def orphaned(worker: str, died: bool) -> None:
        why = "its process died" if died else "handed back by a drain"
        try:
            with db.transaction():
                jobs.hand_back(worker, why, counts=died)
                deliveries.hand_back(worker, why, counts=died)
            if died:
                # Nobody of this role lives at this moment, so nothing of what it writes is being written.
                _sweep(db, files, [worker.split("-")[0]], time.time() - _SWEPT_SECONDS)
        except OutOfResources as error:
            _log.error("claims not handed back; their leases run out", reason=str(error))

    supervisor = Supervisor(
        command=lambda role: child.command(str(path), role),
        beat=beat,
        orphaned=orphaned,
        drain_seconds=settings.node.drain_seconds + _MARGIN_SECONDS,
        keep_open=[lock.fileno() for lock in locks],
        ready=_tell_systemd,
        stop=stop,
    )
    try:
        return supervisor.run(roles)
    finally:
        db.close()
        for lock in locks:
            lock.close()


def _recover(db: Database, files: Files, roles: Sequence[str]) -> None:
    """Put right what a crash left: claims of workers that no longer exist, and files that no row names."""
    jobs, deliveries = Jobs(db, files), Deliveries(db, files)
    with db.transaction():
        for role in roles:
            jobs.hand_back(f"{role}-%", "the node was restarted", counts=True)
            deliveries.hand_back(f"{role}-%", "the node was restarted", counts=True)
    row = db.row("SELECT MAX(at) AS at FROM event")
    last = from_text(row["at"]).timestamp() if row and row["at"] else time.time()
    _sweep(db, files, roles, last - _SWEPT_SECONDS)


def _sweep(db: Database, files: Files, roles: Sequence[str], since: float) -> None:
    """Remove the files of these roles that no row names, in folders that changed after `since` (POSIX time)."""
    removed: list[str] = []
    try:
        if "receive" in roles:
            removed += files.sweep("studies", Studies(db, files).files, since)
        if "work" in roles:
            removed += files.sweep("results", Jobs(db, files).files, since)
            # Few studies have notices, so that all their folders are looked at.
            removed += files.sweep("notices", Jobs(db, files).files, 0.0, time.time() - _NOTICE_SECONDS)
    except OSError as error:
        _log.error("not everything was swept", reason=error.strerror)
    if removed:
        _log.warning("removed what a crash left behind", files=len(removed))


def _tell_systemd() -> None:
    """Say READY=1 where systemd listens for it (sd_notify(3)); elsewhere nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect(address.replace("@", "\0", 1) if address.startswith("@") else address)
            notify.send(b"READY=1")


def _only_one(settings: Settings, role: str, stop: Event) -> IO[str]:
    """Hold the lock of a role on this store.

    Children inherit it, so it is free only when no process of an earlier node is left that could still be writing;
    those of a node that was killed drain by themselves, and are waited for.
    """
    lock = lock_file(settings.store.folder, role).open("w")
    deadline = time.monotonic() + settings.node.drain_seconds + _MARGIN_SECONDS
    waiting = False
    while time.monotonic() < deadline and not stop.is_set():
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            if not waiting:
                _log.warning("waiting for a process of another node on this store to end", role=role)
            waiting = True
            stop.wait(0.1)
        else:
            return lock
    lock.close()
    raise DicomNodeError(f"a node already runs `{role}` on the store {settings.store.folder}; stop it first")


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
