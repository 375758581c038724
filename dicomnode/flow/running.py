"""One process of the node as its supervisor sees it: how it is started, what it has said, what it is told."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import structlog

from dicomnode.flow.child import ALIVE, HEIR, LEFT, LIFELINE, READY, STANDS_BY, UP, WORKER, words

_log = structlog.get_logger(__name__)

#: A process that dies sooner than this after its start waits longer before the next, twice as long each time.
_STABLE_SECONDS = 10.0
_FIRST_RESTART_SECONDS = 0.2
_LONGEST_RESTART_SECONDS = 30.0
_DOUBLINGS = 10


#: glibc gives the threads of a process up to eight heaps for each core, and none takes what another has given back:
#: with 64 associations the memory of a listener grew with every generation of their threads. Two are enough for
#: threads that take turns.
_MEMORY = {"MALLOC_ARENA_MAX": "2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What a process gets from its supervisor: variables of its environment, and descriptors that they name."""

    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()


@dataclass(slots=True)
class Running:
    """One process and what is known of it.

    Attributes
    ----------
    heir
        Whether it stands by until its predecessor has made way.
    has_run, stands_by, left
        What it has said: that it is at work, that it waits for its turn, that it has made way for its heir.
    signs
        How often it has said since its start that it lives.
    leaving
        When it was asked to make way (monotonic); 0 for never.
    """

    role: str
    handed: Handed = field(default_factory=Handed)
    heir: bool = False
    process: subprocess.Popen[bytes] | None = None
    worker: str = ""
    started: float = 0.0
    restart_at: float = 0.0
    deaths: int = 0
    has_run: bool = False
    stands_by: bool = False
    left: bool = False
    signs: int = 0
    leaving: float = 0.0
    ready: int = -1
    lifeline: int = -1

    def start(self, command: Sequence[str], keep_open: Sequence[int], now: float) -> None:
        """Start the process; it ends by itself when this one does.

        Raises
        ------
        OSError
            The system has no process, memory or descriptor for it.
        """
        self.started, self.signs = now, 0
        worker = f"{self.role}-{secrets.token_hex(4)}"
        with ExitStack() as theirs, ExitStack() as ours:
            lifeline, keep = _pipe(theirs, ours)
            ready, speak = _pipe(ours, theirs)
            os.set_blocking(ready, False)
            own = {LIFELINE: str(lifeline), READY: str(speak), WORKER: worker, **({HEIR: "1"} if self.heir else {})}
            self.process = subprocess.Popen(
                command,
                env={**_MEMORY, **os.environ, **self.handed.environment, **own},
                pass_fds=(lifeline, speak, *keep_open, *self.handed.descriptors),
                start_new_session=True,
            )
            ours.pop_all()
        self.worker, self.lifeline, self.ready = worker, keep, ready
        _log.info("process started", role=self.role, pid=self.process.pid, worker=self.worker, stands_by=self.heir)

    def put_off(self, now: float) -> float:
        """Wait before the next start, since this one came to nothing; for how many seconds."""
        self.deaths = self.deaths + 1 if now - self.started < _STABLE_SECONDS else 1
        wait: float = min(_FIRST_RESTART_SECONDS * 2 ** min(self.deaths - 1, _DOUBLINGS), _LONGEST_RESTART_SECONDS)
        self.restart_at = now + wait
        return wait

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def listen(self) -> None:
        """Take note of what it has said."""
        said = words(self.ready)
        self.has_run = self.has_run or UP in said
        self.stands_by = self.stands_by or STANDS_BY in said
        self.left = self.left or LEFT in said
        self.signs += said.count(ALIVE)

    def tell(self, word: bytes) -> None:
        """Say something to it; who is gone hears nothing."""
        with suppress(BrokenPipeError):
            os.write(self.lifeline, word)

    def forget(self) -> None:
        """Let go of a process that has ended."""
        for descriptor in (self.lifeline, self.ready):
            os.close(descriptor)
        self.process, self.lifeline, self.ready = None, -1, -1


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """Both ends of a pipe, closed with who holds them."""
    read, write = os.pipe()
    reader.callback(os.close, read)
    writer.callback(os.close, write)
    return read, write
