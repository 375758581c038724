"""New processes take the place of those that run: first all stand by, then each begins when its predecessor makes way.

Until all stand by nothing has changed, and whatever goes wrong leaves the running processes as they are.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import datetime
from threading import Lock

import structlog

from dicomnode.domain.clock import utc_now
from dicomnode.flow.child import MAKE_WAY, YOUR_TURN
from dicomnode.flow.reload.wish import Wish
from dicomnode.flow.running import Handed, Running

_log = structlog.get_logger(__name__)

#: A process imports and reads its configuration within seconds, within this also on a machine that is busy.
_STAND_BY_SECONDS = 60.0

#: The listener makes way as soon as one comparison of pixels is over, which may take a minute (`node.settling`).
_MAKE_WAY_SECONDS = 75.0

#: It goes on with the associations that it has while its heir takes the new ones; the others end first.
_MAKES_WAY = "receive"

#: It finishes its analysis, however long that takes; where it does nothing any more the watchdog ends it.
_UNHURRIED = "work"


class Succession:
    """Replaces the processes of a supervisor, whose loop calls `step`; only `ask` is called from other threads."""

    def __init__(
        self, start: Callable[[Running, float], None], orphaned: Callable[[str, bool], None], drain_seconds: float
    ) -> None:
        self._start, self._orphaned, self._drain_seconds = start, orphaned, drain_seconds
        self._lock, self._began = Lock(), 0.0
        self._wish: Wish | None = None
        self._heirs: list[Running] = []
        self._leaving: list[Running] = []
        self._turned: dict[str, datetime] = {}

    def ask(self, handed: Handed) -> Wish | None:
        """Have all processes replaced by such that get `handed`; None while that is being done already."""
        with self._lock:
            if self._wish is not None:
                return None
            self._wish = Wish(handed=handed)
            return self._wish

    @property
    def others(self) -> list[Running]:
        """The processes that stand by, and those that finish what they have in hand."""
        return [*self._heirs, *self._leaving]

    def occupied(self, role: str) -> bool:
        """Whether a former process of the role has not made way yet."""
        return any(one.role == role and not one.left for one in self._leaving)

    def lingers(self, role: str) -> bool:
        """Whether a former process of the role still lives."""
        return any(one.role == role for one in self._leaving)

    def turned(self, role: str) -> datetime:
        """Since when the process of the role that runs now has been at work; just now where it is to begin yet."""
        return self._turned.get(role) or utc_now()

    def step(self, children: list[Running], now: float) -> None:
        """Do what is to be done at this moment; `children` are exchanged in place."""
        if self._wish is not None:
            self._prepare(self._wish, children, now)
        for one in tuple(self._leaving):
            self._see_off(one, now)
        for child in children:
            if child.heir and child.alive and not self.occupied(child.role):
                child.tell(YOUR_TURN)
                child.heir = False
                self._turned[child.role] = utc_now()

    def _prepare(self, wish: Wish, children: list[Running], now: float) -> None:
        if not self._heirs:
            self._began = now
            self._heirs = [Running(role=child.role, handed=wish.handed, heir=True) for child in children]
            try:
                for heir in self._heirs:
                    self._start(heir, now)
            except OSError as error:
                self._call_off(wish, f"the processes could not be started ({error.strerror or error})")
                return
        for heir in self._heirs:
            heir.listen()
        dead = next((heir for heir in self._heirs if not heir.alive), None)
        if dead is not None:
            status = dead.process.returncode if dead.process else None
            self._call_off(wish, f"the process {dead.role} could not be started with it (status {status}); see the log")
        elif all(heir.stands_by for heir in self._heirs):
            self._exchange(children, now)
            self._end(wish)
        elif now - self._began > _STAND_BY_SECONDS:
            self._call_off(wish, f"its processes did not start within {_STAND_BY_SECONDS:g} s")

    def _exchange(self, children: list[Running], now: float) -> None:
        for child in children:
            if child.process is None:
                continue
            child.leaving = now
            if child.role == _MAKES_WAY and not child.heir:
                child.tell(MAKE_WAY)
            else:
                child.process.send_signal(signal.SIGTERM)
            self._leaving.append(child)
        children[:], self._heirs = self._heirs, []
        self._turned.clear()
        for child in children:
            # One that falters now is started again, as any other that has run.
            child.has_run = True

    def _see_off(self, one: Running, now: float) -> None:
        one.listen()
        if not one.alive:
            code = one.process.returncode if one.process else 0
            one.forget()
            self._leaving.remove(one)
            _log.info("former process has ended", role=one.role, worker=one.worker, status=code)
            self._orphaned(one.worker, code != 0)
            return
        most = _MAKE_WAY_SECONDS if one.role == _MAKES_WAY else self._drain_seconds
        overdue = now - one.leaving > most and not one.left and one.role != _UNHURRIED
        if overdue and one.process is not None:
            _log.error("former process did not make way in time", role=one.role, worker=one.worker, seconds=most)
            one.process.kill()

    def _call_off(self, wish: Wish, why: str) -> None:
        for heir in self._heirs:
            if heir.process is not None:
                heir.process.kill()
                heir.process.wait()
                heir.forget()
        self._heirs = []
        self._end(wish, why)

    def _end(self, wish: Wish, refused: str = "") -> None:
        with self._lock:
            self._wish, wish.refused = None, refused
        wish.done.set()
