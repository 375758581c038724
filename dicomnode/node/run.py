"""A node runs: its processes are started, watched, and their leavings put right."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from fcntl import LOCK_EX, LOCK_NB, flock
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import IO

import pydicom.config
import structlog

from dicomnode import log
from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError, OutOfResources
from dicomnode.flow import child, notify_systemd, pulse
from dicomnode.flow.audited.trail import recorded
from dicomnode.flow.checkpoint import checkpoint_alone, lock_file
from dicomnode.flow.metrics.line import StatusLine
from dicomnode.flow.prepared import wait_until_prepared
from dicomnode.flow.reload.handed import close_ports
from dicomnode.flow.reload.left import close_left
from dicomnode.flow.supervise import Supervisor
from dicomnode.flow.watchdog import Watchdog
from dicomnode.node.receive import secure
from dicomnode.node.recover import SWEPT_SECONDS, Recovery, sweep
from dicomnode.node.reload import InForce
from dicomnode.node.stow import shown
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs

ROLES = ("receive", "work", "deliver", "web")


def roles_of(settings: Settings) -> tuple[str, ...]:
    """The processes that a node with these settings consists of."""
    return ROLES if settings.web.port else ROLES[:-1]


#: What a process may take beyond its drain time before it is killed or no longer waited for.
_MARGIN_SECONDS = 5.0

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
    if role != "receive":
        close_ports()
    child.wait_for_turn()
    with recorded(settings, role), pulse.beating(settings.store.folder, role, pulse.goes_round):
        # The listener is there while others wait, and asks for patience itself.
        if role == "receive" or wait_until_prepared(settings.store.folder, stop):
            # Imported here, so that none waits for what another needs; the listener is there within seconds.
            begin: Callable[[Settings, Event], None] = getattr(import_module(f"dicomnode.node.{role}"), role)
            begin(settings, stop)
    _log.info("process drained")
    # Everything of ours is committed and closed; a thread of the network library that waits for a peer which has
    # vanished must not keep the process.
    sys.stderr.flush()
    os._exit(0)


def run(settings: Settings, path: Path, roles: Sequence[str], text: str) -> int:
    """Supervise the processes of `roles` until SIGTERM; the exit status.

    Parameters
    ----------
    text
        What the file at `path` said when the settings were made of it.

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
    if list(roles) == ["web"] and not settings.web.port:
        # Its unit is started with the others; that there is nothing to do is no fault.
        _log.info("nothing to answer on", reason="[web] port is 0")
        notify_systemd.ready()
        return 0
    if "receive" in roles:
        secure(settings)
        shown(settings)
    stop = Event()
    in_force = InForce(settings, text, path, roles, stop)
    # Set when there is somebody to hear it; a terminal that is closed ends a node that was started there.
    hung_up: list[Callable[[], None]] = []
    too_early = Event()

    def hang_up() -> None:
        too_early.set()
        for act in hung_up:
            too_early.clear()
            act()

    from_terminal = bool(sys.stdin) and sys.stdin.isatty()
    child.stop_with_supervisor(stop, None if from_terminal else hang_up)
    files = Files(settings.store.folder)
    locks = [_only_one(settings, role, stop) for role in roles]
    in_force.open_ports()
    recovery = Recovery(settings, files, roles, stop)
    recovery.start()
    lease = timedelta(seconds=settings.work.lease_seconds)
    tell = StatusLine()

    def beat(workers: Sequence[str]) -> None:
        db = recovery.db
        if db is None:
            return
        jobs, deliveries = Jobs(db, files), Deliveries(db, files)
        try:
            with db.transaction():
                for worker in workers:
                    jobs.heartbeat(worker, lease)
                    deliveries.heartbeat(worker, lease)
            checkpoint_alone(db, settings.store.folder)
            tell(db)
        except OutOfResources as error:
            _log.error("no heartbeat", reason=str(error))

    def orphaned(worker: str, died: bool) -> None:
        why = "its process died" if died else "handed back by a drain"
        db = recovery.db
        if db is None:
            return
        jobs, deliveries = Jobs(db, files), Deliveries(db, files)
        try:
            with db.transaction():
                jobs.hand_back(worker, why, counts=died)
                deliveries.hand_back(worker, why, counts=died)
            role = worker.split("-")[0]
            if supervisor.another(role, worker):
                if role == "receive" and not supervisor.succession.lingers(role):
                    close_left(db, files, supervisor.succession.turned(role))
            elif died:
                # Nobody of this role lives at this moment, so nothing of what it writes is being written.
                sweep(db, files, [role], time.time() - SWEPT_SECONDS)
        except OutOfResources as error:
            _log.error("claims not handed back; their leases run out", reason=str(error))

    supervisor = Supervisor(
        command=lambda role: child.command(str(path), role),
        beat=beat,
        orphaned=orphaned,
        drain_seconds=settings.node.drain_seconds + _MARGIN_SECONDS,
        keep_open=[lock.fileno() for lock in locks],
        ready=notify_systemd.ready,
        look=Watchdog().look,
        stop=stop,
        handed=in_force.handed,
        draining=in_force.close_ports,
    )
    desk = in_force.desk(supervisor.succession)
    hung_up.append(desk.from_file)
    try:
        with desk.hearing():
            if too_early.is_set():
                desk.from_file()
            status = supervisor.run(roles)
        recovery.end()
        return status
    finally:
        in_force.close_ports()
        for lock in locks:
            lock.close()


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
