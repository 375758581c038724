"""The process that sends results and fetches priors (loop 4)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from threading import Event

from dicomnode.config import Settings
from dicomnode.deliver import dimse, sending
from dicomnode.deliver.stow_memory import Memory
from dicomnode.domain.network import Peer
from dicomnode.domain.prior import OWN_STORE
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow import child
from dicomnode.flow.alerts.threads import alerting
from dicomnode.flow.audited.trail import forwarding
from dicomnode.flow.commitment.threads import CommitmentThreads
from dicomnode.flow.deidentified import deidentifying
from dicomnode.flow.dispatch import Dispatcher
from dicomnode.flow.identity.ask import questioner
from dicomnode.flow.inquiry import asker
from dicomnode.flow.outbox import Outbox, Send
from dicomnode.flow.priors.archive import Archive, DimseArchive
from dicomnode.flow.priors.scratch import ScratchArea
from dicomnode.flow.priors.search import Priors
from dicomnode.flow.priors.threads import PriorThreads
from dicomnode.flow.ready import say_ready
from dicomnode.flow.retention.thread import asking_for_inputs
from dicomnode.node.audit import audited_archive, audited_question, audited_send
from dicomnode.node.opened import open_store
from dicomnode.store.database import Database
from dicomnode.store.files import Files


def deliver(settings: Settings, stop: Event) -> None:
    """Send results until stopped (loop 4)."""
    files = Files(settings.store.folder)
    name = child.worker_name("deliver")
    memory = Memory()
    send = audited_send(deidentifying(sender(settings, memory), settings), settings)

    question = audited_question(questioner(settings), settings)

    def connect() -> Database:
        return open_store(settings)[0]

    def outbox(db: Database) -> Outbox:
        return Outbox(db, files, settings, send, name, asker(settings, memory.presumed), question)

    def priors(db: Database, source: str) -> Priors:
        area = ScratchArea(db, files, settings)

        def archive(peer: Peer) -> Archive:
            return audited_archive(lambda keep: DimseArchive(peer, settings, files, keep), area.keep, peer, settings)

        return Priors(db, files, settings, source, area, archive, stop.is_set)

    def clean(db: Database) -> None:
        ScratchArea(db, files, settings).clean()

    # The first of them fetches nothing: it has comparisons made that a first result did not wait for.
    sources = {source: None for rule in settings.rules if rule.priors for source in (OWN_STORE, *rule.priors.peers)}
    say_ready()
    commitment = CommitmentThreads(connect, settings, stop)
    with (
        PriorThreads(connect, priors, clean, list(sources), stop).running(),
        commitment.running(),
        asking_for_inputs(connect, settings, stop),
        forwarding(settings),
        alerting(connect, settings, stop),
    ):
        Dispatcher(connect, outbox, stop).run()


def sender(settings: Settings, memory: Memory) -> Send:
    """What the outbox sends with: C-STORE under this node's AE title, or STOW-RS where the peer's entry says so."""
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
        yield from sending.send(peer, files, calling_aet=settings.node.aet, timeouts=timeouts, memory=memory)

    return send
