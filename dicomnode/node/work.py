"""The process that runs jobs (loop 3)."""

from __future__ import annotations

from contextlib import closing
from threading import Event

from dicomnode.config import Settings
from dicomnode.flow import child, pulse
from dicomnode.flow.loop import drive
from dicomnode.flow.metrics.gpu import told_gpus
from dicomnode.flow.ready import say_ready
from dicomnode.node.opened import open_store


def work(settings: Settings, stop: Event) -> None:
    """Run jobs until stopped (loop 3)."""
    # Imported here, since the other processes do well without 150 MB of inference and radiomics.
    from dicomnode.flow.models.ready import ready
    from dicomnode.flow.shadow.beside import Shadow
    from dicomnode.flow.work import Worker
    from dicomnode.infer.network.session import Sessions
    from dicomnode.report.warm import warm_up

    db, files = open_store(settings)
    # What does not fit into memory goes where the disk is: /tmp may be memory itself.
    sessions = Sessions(settings.work.threads, settings.work.device, scratch=settings.store.folder)
    sessions.radiomics_processes = settings.work.radiomics_processes
    worker = Worker(db, files, settings, sessions, child.worker_name("work"))
    shadow = Shadow(db, files, settings, stop)

    def step() -> bool:
        pulse.again()
        if worker.run_once():
            return True
        with pulse.unhurried():
            return shadow.run_once()

    say_ready()
    warm_up()
    ready(settings, sessions)
    with closing(db), told_gpus(settings.store.folder):
        drive(step, db, stop)
