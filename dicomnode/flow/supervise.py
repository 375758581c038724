"""Starts the node's processes, restarts those that die, writes their heartbeats and drains them on SIGTERM."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event

import structlog

from dicomnode.flow.child import CANNOT_RUN
from dicomnode.flow.reload.succession import Succession
from dicomnode.flow.running import Handed, Running

_log = structlog.get_logger(__name__)

_BEAT_SECONDS = 1.0


@dataclass(slots=True)
class Supervisor:
    """Keeps one process for each role alive.

    Attributes
    ----------
    command
        What starts a child: role → command line.
    beat
        Called about once a second with the names of the living workers.
    orphaned
        Called with the name of a worker that is gone, so that its claims can be handed back at once, and with
        whether it died, which may have been its job's fault, or was drained.
    handed
        What every process gets until a succession hands on something else.
    draining
        Called once before the processes are asked to stop.
    look
        Called about once a second with all processes, those that make way included, to end what hangs.
    """

    command: Callable[[str], Sequence[str]]
    beat: Callable[[Sequence[str]], None]
    orphaned: Callable[[str, bool], None]
    drain_seconds: float
    keep_open: Sequence[int] = ()
    stop: Event = field(default_factory=Event)
    ready: Callable[[], None] = lambda: None
    handed: Handed = field(default_factory=Handed)
    draining: Callable[[], None] = lambda: None
    look: Callable[[Sequence[Running]], None] = lambda _processes: None
    succession: Succession = field(init=False)
    _children: list[Running] = field(default_factory=list)
    _failed: bool = False

    def __post_init__(self) -> None:
        self.succession = Succession(self._start, self.orphaned, self.drain_seconds)

    def run(self, roles: Sequence[str]) -> int:
        """Supervise until `stop` is set, or a process cannot run at all; the exit status."""
        self._children = [Running(role=role, handed=self.handed) for role in roles]
        waiting_for = set(roles)
        last_beat = 0.0
        while not self.stop.is_set():
            now = time.monotonic()
            self.succession.step(self._children, now)
            for child in self._children:
                self._tend(child, now)
                if child.role in waiting_for and child.has_run:
                    waiting_for.discard(child.role)
                    if not waiting_for:
                        _log.info("node ready", processes=list(roles))
                        self.ready()
            if now - last_beat >= _BEAT_SECONDS:
                self.beat([child.worker for child in self._everybody() if child.process])
                self.look(self._everybody())
                last_beat = now
            self.stop.wait(0.05)
        return self._drain()

    def another(self, role: str, worker: str) -> bool:
        """Whether a process of the role lives beside this worker's."""
        return any(one.role == role and one.worker != worker and one.alive for one in self._everybody())

    def _everybody(self) -> list[Running]:
        return [*self._children, *self.succession.others]

    def _tend(self, child: Running, now: float) -> None:
        alive = child.alive
        child.listen()
        if alive:
            return
        if child.process is not None:
            code = child.process.returncode
            child.forget()
            if code == CANNOT_RUN and not child.has_run:
                # Started again it would find the same; whoever starts the node learns of it.
                _log.error("process cannot run; the node ends", role=child.role, status=code)
                self._failed = True
                self.stop.set()
                return
            wait = child.put_off(now)
            _log.error("process died", role=child.role, status=code, restart_in_seconds=wait)
            self.orphaned(child.worker, True)
        if now >= child.restart_at:
            try:
                self._start(child, now)
            except OSError as error:
                # The system has no process or memory for it at this moment; the others go on.
                wait = child.put_off(now)
                _log.error("process not started", role=child.role, reason=str(error), again_in_seconds=wait)

    def _start(self, child: Running, now: float) -> None:
        child.heir = child.heir or self.succession.lingers(child.role)
        child.start(self.command(child.role), self.keep_open, now)

    def _drain(self) -> int:
        """Ask every child to finish what it has in hand; kill what does not."""
        self.draining()
        living = {child.worker: child.process for child in self._everybody() if child.process is not None}
        for process in living.values():
            process.send_signal(signal.SIGTERM)
        now, last_beat = time.monotonic(), 0.0
        deadline = now + self.drain_seconds
        while living and now < deadline:
            if now - last_beat >= _BEAT_SECONDS:
                self.beat(list(living))
                last_beat = now
            time.sleep(0.05)
            now = time.monotonic()
            living = {worker: process for worker, process in living.items() if process.poll() is None}
        for worker, process in living.items():
            _log.error("process did not drain in time", worker=worker, seconds=self.drain_seconds)
            process.kill()
            process.wait()
        for child in self._everybody():
            if child.process is not None:
                child.forget()
            self.orphaned(child.worker, False)
        return 1 if living or self._failed else 0
