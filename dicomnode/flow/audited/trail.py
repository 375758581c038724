"""The audit trail of these settings: opened, told of this process, and sent to its collector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Event, Thread

from dicomnode.audit.event import Action, Outcome, Participant, Source
from dicomnode.audit.file import Trail
from dicomnode.audit.message import Studied, accessed, application, this_person, this_process
from dicomnode.audit.people import configuration_changed
from dicomnode.audit.syslog import Collector, Forwarder
from dicomnode.config import Settings
from dicomnode.config.audit import collector_tls, folder_of
from dicomnode.domain.clock import utc_now
from dicomnode.domain.errors import OutOfResources
from dicomnode.store.database import Database
from dicomnode.store.identities import Identities

#: How long the collector rests after the thread that sends to it has ended in the middle of something.
_PAUSE_SECONDS = 2.0


def open_trail(settings: Settings) -> Trail | None:
    """The trail, the same for all of this process: it counts what could not be written. None where none is kept.

    Nothing is made or read before something is recorded.
    """
    table = settings.audit
    if not table.enabled:
        return None
    return _trail(
        folder_of(settings), Source(id=table.source or settings.node.aet, site=table.site),
        table.file_mib << 20, table.sync, table.required,
    )  # fmt: skip


@cache
def _trail(folder: Path, source: Source, limit_bytes: int, sync: bool, required: bool) -> Trail:
    return Trail(folder, source, utc_now, limit_bytes=limit_bytes, sync=sync, required=required)


def this_node(settings: Settings) -> Participant:
    """This process under every AE title that the node answers to."""
    return this_process(settings.node.called_aets)


@contextmanager
def recorded(settings: Settings, role: str) -> Iterator[None]:
    """Tell the trail when this process begins and ends its work, also by an exception; not when it is killed."""
    trail = open_trail(settings)
    if trail is None:
        yield
        return
    process = replace(this_node(settings), name=f"dicomnode {role}")
    # Without a trail that is required the process takes nothing on; that it runs shows an operator why.
    with suppress(OutOfResources):
        trail.record(application(process, started=True))
    outcome = Outcome.SERIOUS
    try:
        yield
        outcome = Outcome.SUCCESS
    finally:
        with suppress(OutOfResources):
            trail.record(replace(application(process, started=False), outcome=outcome))


@contextmanager
def forwarding(settings: Settings) -> Iterator[None]:
    """Send the trail to its collector meanwhile, if one is named; what comes later goes at the next start.

    A thread that ends before is started anew.
    """
    table = settings.audit
    if not (table.enabled and table.syslog_host):
        yield
        return
    collector = Collector(host=table.syslog_host, port=table.syslog_port, tls=collector_tls(settings))
    stop = Event()
    forwarder = Forwarder(folder_of(settings), collector.connect)

    def keep() -> None:
        while not stop.is_set():
            thread = Thread(target=forwarder.run, args=(stop,), name="audit-syslog", daemon=True)
            thread.start()
            thread.join()
            stop.wait(_PAUSE_SECONDS)

    thread = Thread(target=keep, name="audit-syslog-keeper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def tell_act(db: Database, settings: Settings, study: str, what: str, who: Participant | None = None) -> None:
    """Record that `who`, or whoever runs this command, is about to do something to the study whose UID begins so.

    Raises
    ------
    DicomNodeError
        There is no such study, or it cannot be recorded and has to be (`OutOfResources`).
    """
    # Imported here: what it rests on takes longer to import than all else, and who only listens has no need of it.
    from dicomnode.flow.operate import find

    trail = open_trail(settings)
    if trail is not None:
        # To those who have the results, taking them back is a deletion.
        action = {"retract": Action.DELETE, "seen": Action.READ}.get(what.split(":")[0], Action.UPDATE)
        trail.record(accessed(who or this_person(), studied(db, find(db, study)), action, what))


def tell_changed(settings: Settings, what: str, who: Participant | None = None) -> None:
    """Record that `who`, or whoever runs this command, changes what this node does with studies.

    Raises
    ------
    OutOfResources
        It cannot be recorded and has to be.
    """
    trail = open_trail(settings)
    if trail is not None:
        trail.record(configuration_changed(who or this_person(), what))


def studied(db: Database, study_instance_uid: str) -> Studied:
    """A study that is in the books, as a message tells of it."""
    patient_id, accession_number = Identities(db).of(study_instance_uid)
    return Studied(
        study_instance_uid=study_instance_uid, patient_id=patient_id, accession_number=accession_number
    )  # fmt: skip
