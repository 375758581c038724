"""A node runs: its processes are started, watched, and their leavings put right."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from fcntl import LOCK_EX, LOCK_NB, flock
from functools import partial
from pathlib import Path
from threading import Event
from typing import IO

import pydicom.config
import structlog

from dicomnode import log
from dicomnode.config import Settings
from dicomnode.domain.clock import from_text
from dicomnode.domain.errors import DicomNodeError, OutOfResources
from dicomnode.flow import child
from dicomnode.flow.audited.trail import recorded
from dicomnode.flow.checkpoint import checkpoint_alone, lock_file
from dicomnode.flow.supervise import Supervisor
from dicomnode.node.deliver import deliver
from dicomnode.node.opened import open_store
from dicomnode.node.receive import receive, secure
from dicomnode.node.work import work
from dicomnode.store.database import Database
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files
from dicomnode.store.holdings import Holdings
from dicomnode.store.jobs import Jobs

ROLES = ("receive", "work", "deliver")

#: What a process may take beyond its drain time before it is killed or no longer waited for.
_MARGIN_SECONDS = 5.0

#: A command that writes a notice commits it within seconds; what is older than this has nobody who will.
_NOTICE_SECONDS = 3600.0

#: How far back before the last sign of life a crash may have left files: longer than any commit takes.
_SWEPT_SECONDS = 3600.0

#: What a node writes is patient data, so no other account may read it, however the node is started.
_PRIVATE = 0o077


_log = structlog.get_logger(__name__)


def run_child(settings: Settings, role: str) -> None:
    """Be one of the node's processes until told to stop."""
    os.umask(_PRIVATE)
    # Peers send what they send; a value that breaks a rule is judged by who needs it, and warnings would print it.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    log.configure(settings.log.level, settings.log.format, role)
    log.catch_all()
    stop = Event()
    child.stop_with_supervisor(stop)
    with recorded(settings, role):
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
    log.catch_all()
    if "receive" in roles:
        secure(settings)
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
                sweep(db, files, [worker.split("-")[0]], time.time() - _SWEPT_SECONDS)
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
    row = db.row("SELECT at FROM event ORDER BY event_id DESC LIMIT 1")
    last = from_text(row["at"]).timestamp() if row and row["at"] else time.time()
    sweep(db, files, roles, last - _SWEPT_SECONDS)


def sweep(db: Database, files: Files, roles: Sequence[str], since: float) -> None:
    """Remove the files of these roles that no row names, in folders that changed after `since` (POSIX time).

    What rows have given up is left to `remove_given_up`, which heeds who holds files in their place.
    """
    removed: list[str] = []
    expected = Holdings(db, files).expected
    db.settle_log()
    try:
        if "receive" in roles:
            removed += files.sweep("studies", partial(expected, "studies"), since)
        if "work" in roles:
            removed += files.sweep("results", partial(expected, "results"), since)
            # Few studies have notices, so that all their folders are looked at.
            removed += files.sweep("notices", partial(expected, "notices"), 0.0, time.time() - _NOTICE_SECONDS)
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
