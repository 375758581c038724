"""The supervisor restarts what dies, drains what lives, and hands back what was claimed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread

import pytest

from dicomnode.flow.child import CANNOT_RUN
from dicomnode.flow.supervise import Supervisor

#: Says that it is ready, then waits for SIGTERM or for the end of its supervisor.
CHILD = """
import os, sys
from threading import Event
from dicomnode.flow import child
stop = Event()
child.stop_with_supervisor(stop)
child.say_ready()
{then}
stop.wait()
"""

Make = Callable[..., "Run"]


class Run:
    """A supervisor in a thread, with what it was told and what it told."""

    def __init__(self, command: Callable[[str], Sequence[str]], drain_seconds: float) -> None:
        self.orphans: list[bool] = []
        self.beats: set[str] = set()
        self.ready, self.died = Event(), Event()
        self.supervisor = Supervisor(
            command=command,
            beat=lambda workers: self.beats.update(workers),
            orphaned=self._orphaned,
            drain_seconds=drain_seconds,
            ready=self.ready.set,
        )
        self.status: int | None = None
        self.thread = Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.status = self.supervisor.run(["work"])

    def _orphaned(self, _worker: str, died: bool) -> None:
        self.orphans.append(died)
        self.died.set()

    def end(self) -> int | None:
        self.supervisor.stop.set()
        self.thread.join(timeout=30)
        return self.status


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def start(then: str = "", drain_seconds: float = 20.0) -> Run:
        script = tmp_path / "child.py"
        script.write_text(CHILD.format(then=then))
        return Run(lambda _role: [sys.executable, str(script)], drain_seconds)

    return start


def test_a_child_is_started_reported_ready_and_drained_by_sigterm(make: Make) -> None:
    run = make()
    assert run.ready.wait(30)
    assert run.end() == 0
    assert run.orphans == [False], "what a drained worker held does not count as an attempt"
    assert len(run.beats) == 1


def test_a_child_that_dies_is_started_again_and_its_claims_count(make: Make, tmp_path: Path) -> None:
    marker = tmp_path / "died"
    run = make(then=f"p = {str(marker)!r}\nif not os.path.exists(p):\n    open(p, 'w').close(); os._exit(9)")
    assert run.died.wait(30) and run.orphans == [True]
    assert run.ready.wait(30)
    assert run.end() == 0


def test_a_child_that_cannot_run_ends_the_node_as_a_failure_that_systemd_tries_again(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(f"raise SystemExit({CANNOT_RUN})")
    run = Run(lambda _role: [sys.executable, str(script)], 20.0)
    run.thread.join(timeout=30)
    assert run.status == 1, "2 would tell systemd that trying again is in vain"
    assert not run.ready.is_set()


def test_a_child_that_has_run_and_then_cannot_is_started_again_with_growing_pauses(make: Make, tmp_path: Path) -> None:
    marker = tmp_path / "died"
    run = make(then=f"p = {str(marker)!r}\nif not os.path.exists(p):\n    open(p, 'w').close(); os._exit({CANNOT_RUN})")
    assert run.died.wait(30) and run.orphans == [True]
    assert run.end() == 0


def test_a_child_that_does_not_drain_is_killed_and_that_is_a_failure(make: Make) -> None:
    run = make(
        then="import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)", drain_seconds=1
    )
    assert run.ready.wait(30)
    assert run.end() == 1


def test_while_it_drains_it_beats_as_often_as_before(make: Make) -> None:
    run = make(
        then="import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)", drain_seconds=1.5
    )
    assert run.ready.wait(30)
    beats: list[float] = []
    run.supervisor.draining = lambda: setattr(run.supervisor, "beat", lambda _workers: beats.append(time.monotonic()))
    assert run.end() == 1
    assert len(beats) == 2


def test_a_child_whose_supervisor_is_gone_stops_by_itself(tmp_path: Path) -> None:
    import os
    import subprocess

    script = tmp_path / "child.py"
    script.write_text(CHILD.format(then=""))
    lifeline, keep = os.pipe()
    ready, speak = os.pipe()
    environment = {**os.environ, "DICOMNODE_LIFELINE": str(lifeline), "DICOMNODE_READY": str(speak)}
    child = subprocess.Popen([sys.executable, str(script)], env=environment, pass_fds=(lifeline, speak))
    os.close(lifeline)
    assert os.read(ready, 1) == b"+"
    assert child.poll() is None
    os.close(keep)  # as the kernel does when the supervisor is killed
    assert child.wait(timeout=30) == 0
    for descriptor in (ready, speak):
        os.close(descriptor)


def test_a_child_stops_whichever_of_its_threads_the_system_hands_the_signal(tmp_path: Path) -> None:
    signals_itself = "import signal, threading\n" + (
        "threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()"
    )
    script = tmp_path / "child.py"
    script.write_text(CHILD.format(then=signals_itself))
    done = subprocess.run([sys.executable, str(script)], timeout=30, check=False)
    assert done.returncode == 0
