"""A process that is there and does nothing is noticed, ended and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import pytest

from dicomnode.flow import pulse
from dicomnode.flow.supervise import Supervisor
from dicomnode.flow.watchdog import Watchdog


@dataclass
class Fake:
    """A process as a supervisor knows it."""

    role: str
    worker: str
    process: subprocess.Popen[bytes] | None
    signs: int = 0


@pytest.fixture
def living() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


class Clock:
    """Monotonic seconds that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_process_that_has_beaten_and_falls_silent_is_ended(living: subprocess.Popen[bytes]) -> None:
    clock, well = Clock(), []
    watchdog = Watchdog(alive=lambda: well.append(clock.now), now=clock)
    one = Fake("receive", "receive-1", living)
    watchdog.look([one])
    for _second in range(1, 4):
        clock.now += 1
        one.signs += 1
        watchdog.look([one])
    clock.now += 59
    watchdog.look([one])
    assert living.poll() is None and len(well) == 5
    clock.now += 2
    watchdog.look([one])
    assert living.wait(30) == -signal.SIGKILL and len(well) == 5, "systemd hears nothing of a node that is not well"


def test_a_process_that_has_not_begun_yet_may_take_its_time(living: subprocess.Popen[bytes]) -> None:
    clock = Clock()
    watchdog = Watchdog(alive=lambda: None, now=clock)
    for worker in ("work-1", "work-2"):
        watchdog.look([Fake("work", worker, living)])
        clock.now += 10_000
        watchdog.look([Fake("work", worker, living)])
    assert living.poll() is None


def test_radiomics_may_hold_a_worker_for_minutes(living: subprocess.Popen[bytes]) -> None:
    clock = Clock()
    watchdog = Watchdog(alive=lambda: None, now=clock)
    one = Fake("work", "work-1", living)
    watchdog.look([one])
    one.signs += 1
    watchdog.look([one])
    clock.now += 599
    watchdog.look([one])
    assert living.poll() is None
    clock.now += 2
    watchdog.look([one])
    assert living.wait(30) == -signal.SIGKILL


def test_two_of_one_role_are_judged_each_by_its_own_signs(living: subprocess.Popen[bytes]) -> None:
    """As after a reload, where the former one hangs and its heir is well."""
    clock, well = Clock(), []
    watchdog = Watchdog(alive=lambda: well.append(clock.now), now=clock)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as other:
        former, heir = Fake("work", "work-1", living, signs=1), Fake("work", "work-2", other)
        for _second in range(603):
            watchdog.look([heir, former])
            clock.now += 1
            heir.signs += 1
            former.signs = 2
        assert living.wait(30) == -signal.SIGKILL and other.poll() is None
        assert len(well) < 603, "systemd hears of it"
        other.kill()


def test_nobody_is_told_that_all_is_well_while_a_process_is_gone() -> None:
    well: list[int] = []
    Watchdog(alive=lambda: well.append(1)).look([Fake("work", "work-1", None)])
    assert well == []


CHILD = """
import sys
from pathlib import Path
from threading import Event
from dicomnode.flow import child, pulse
stop = Event()
child.stop_with_supervisor(stop)
with pulse.beating(Path(sys.argv[1]), "deliver"):
    child.say_ready()
    stop.wait()
"""


def test_a_stopped_child_is_noticed_and_another_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomnode.flow.pulse._PATIENCE_SECONDS", 3.0)
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    orphans: list[bool] = []
    ready, died, well = Event(), Event(), []

    def orphaned(_worker: str, was_dead: bool) -> None:
        orphans.append(was_dead)
        died.set()

    supervisor = Supervisor(
        command=lambda _role: [sys.executable, str(script), str(tmp_path)], beat=lambda _workers: None,
        orphaned=orphaned, drain_seconds=20, ready=ready.set, look=Watchdog(lambda: well.append(1)).look,
    )  # fmt: skip
    thread = Thread(target=supervisor.run, args=(["deliver"],))
    thread.start()
    try:
        assert ready.wait(30)
        first = _pid_when(supervisor, other_than=0)
        deadline = time.monotonic() + 30
        while len(well) < 3 and time.monotonic() < deadline:
            died.wait(0.05)
        os.kill(first, signal.SIGSTOP)
        assert died.wait(60) and orphans == [True]
        assert _pid_when(supervisor, other_than=first)
    finally:
        supervisor.stop.set()
        thread.join(timeout=60)


def _pid_when(supervisor: Supervisor, other_than: int) -> int:
    deadline, waiting = time.monotonic() + 30, Event()
    while time.monotonic() < deadline:
        process = supervisor._children[0].process
        if process is not None and process.pid != other_than:
            return process.pid
        waiting.wait(0.05)
    raise AssertionError("no process")


def test_signs_of_life_end_with_the_loop_that_they_are_about(tmp_path: Path) -> None:
    goes = True
    with pulse.beating(tmp_path, "receive", lambda: goes):
        deadline = time.monotonic() + 30
        while not pulse.last_ns(tmp_path, "receive") and time.monotonic() < deadline:
            Event().wait(0.01)
        goes = False
        pulse.note(tmp_path, "receive", 5000.0)
        Event().wait(2 * pulse.BEAT_SECONDS)
        assert pulse.last_ns(tmp_path, "receive") == 5000 * 10**9
    assert pulse.ages_seconds(tmp_path, ("receive", "web"), 5007.0) == {"receive": 7.0}
