"""One thread for each `[[notify]]` and one for the heartbeat, so that a receiver that hangs holds up nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from threading import Event, Thread

import structlog

from dicomnode.config import Settings
from dicomnode.config.alerts import NotifyTable
from dicomnode.domain.errors import OutOfResources
from dicomnode.flow.alerts.heartbeat import Heart
from dicomnode.flow.alerts.post import Post
from dicomnode.store.database import Database
from dicomnode.store.notices import forget

_log = structlog.get_logger(__name__)

#: How often the event log is looked at; who is told is no faster.
_IDLE_SECONDS = 1.0

#: How long a thread rests that ended in the middle of something.
_PAUSE_SECONDS = 2.0

#: How long a stopping process waits for a thread; a message that is cut short is sent again.
_JOIN_SECONDS = 2.0


@contextmanager
def alerting(connect: Callable[[], Database], settings: Settings, stop: Event) -> Iterator[None]:
    """Tell whoever is to be told, and give heartbeats, until `stop` is set; a thread that ends before is started anew.

    Begun also without any `[[notify]]`: what was owed to one that is gone is dropped.
    """
    with closing(connect()) as db:
        _forget(db, settings)
    steps: dict[str, Callable[[], None]] = {
        f"notify-{table.name}": partial(_post, connect, settings, table, stop) for table in settings.notify
    }
    if settings.heartbeat.url:
        steps["heartbeat"] = partial(_beat, connect, settings, stop)
    keepers = [
        Thread(target=_keep, args=(step, name, stop), name=f"{name}-keeper", daemon=True)
        for name, step in steps.items()
    ]
    for keeper in keepers:
        keeper.start()
    yield
    for keeper in keepers:
        keeper.join(_JOIN_SECONDS)


def _forget(db: Database, settings: Settings) -> None:
    try:
        with db.transaction():
            lost = forget(db, [table.name for table in settings.notify])
    except OutOfResources as error:
        _log.error("notices of former [[notify]] not dropped", reason=str(error))
        return
    if lost:
        _log.warning("notices dropped: the configuration has no such [[notify]] any more", notices=lost)


def _keep(step: Callable[[], None], name: str, stop: Event) -> None:
    while not stop.is_set():
        thread = Thread(target=step, name=name, daemon=True)
        thread.start()
        while thread.is_alive() and not stop.is_set():
            thread.join(_JOIN_SECONDS)
        stop.wait(_PAUSE_SECONDS)


def _post(connect: Callable[[], Database], settings: Settings, table: NotifyTable, stop: Event) -> None:
    try:
        with closing(connect()) as db:
            post = Post(db, settings, table)
            while not stop.is_set():
                if not post.run_once():
                    stop.wait(_IDLE_SECONDS)
    except OutOfResources as error:
        _log.error("nobody told for now", notify=table.name, reason=str(error))


def _beat(connect: Callable[[], Database], settings: Settings, stop: Event) -> None:
    heart = Heart(settings, connect)
    while not stop.is_set():
        heart.beat()
        stop.wait(settings.heartbeat.every_seconds)
