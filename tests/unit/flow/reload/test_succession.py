"""New processes take over when all of them stand by, and each when its predecessor has made way."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dicomnode.flow.reload.wish import Wish
from dicomnode.flow.running import Handed, Running
from dicomnode.flow.supervise import Supervisor
from dicomnode.flow.watchdog import Watchdog

#: As a process of the node: stands by where it has to, says that it is up, makes way when it is asked to.
CHILD = """
import os, signal, sys, time
from threading import Event
from dicomnode.flow import child
role, log = sys.argv[1:]
def note(word):
    with open(log, "a") as file:
        file.write(f"{role} {os.environ['TEXT']} {word}\\n")
stop = Event()
child.stop_with_supervisor(stop)
if os.environ["TEXT"] == "faulty" and role == "work":
    raise SystemExit(2)
child.wait_for_turn()
if stop.is_set():
    raise SystemExit(0)
note("up")
child.say_ready()
child.say_alive()
if os.environ["TEXT"] == "hangs" and role == "work":
    # As C code that never comes back: no handler of a signal is run.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
child.wait_to_leave(stop)
if not stop.is_set():
    note("makes way")
    child.say_left()
    if os.environ["TEXT"] == "lingers":
        stop.wait(60)
note("ended")
"""


class Run:
    """A supervisor in a thread."""

    def __init__(self, folder: Path, text: str, look: Callable[[Sequence[Running]], None] = lambda _all: None) -> None:
        script = folder / "child.py"
        script.write_text(CHILD)
        self.log = folder / "log"
        self.python = sys.executable
        self.orphans: list[tuple[str, bool]] = []
        self.supervisor = Supervisor(
            command=lambda role: [self.python, str(script), role, str(self.log)],
            beat=lambda _workers: None,
            orphaned=lambda worker, died: self.orphans.append((worker.split("-")[0], died)),
            drain_seconds=20,
            look=look,
            handed=Handed(environment={"TEXT": text}),
        )
        self.thread = Thread(target=self.supervisor.run, args=(["receive", "work"],))
        self.thread.start()
        self.says("receive", text, "up")
        self.says("work", text, "up")

    def wish(self, text: str) -> Wish:
        found = self.supervisor.succession.ask(Handed(environment={"TEXT": text}))
        assert found is not None
        return found

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def says(self, *words: str) -> None:
        deadline = time.monotonic() + 60
        while " ".join(words) not in self.lines():
            assert time.monotonic() < deadline, self.lines()
            self.thread.join(0.02)

    def end(self) -> None:
        self.supervisor.stop.set()
        self.thread.join(60)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    made: list[Run] = []

    def start(text: str, **more: Any) -> Run:
        made.append(Run(tmp_path, text, **more))
        return made[-1]

    yield start
    for one in made:
        one.end()


def test_each_heir_begins_after_its_predecessor_has_made_way(run: Callable[..., Run]) -> None:
    one = run("old")
    wish = one.wish("new")
    assert wish.done.wait(60) and wish.refused == ""
    one.says("receive", "new", "up")
    one.says("work", "new", "up")
    lines = one.lines()
    assert lines.index("receive old makes way") < lines.index("receive new up")
    assert lines.index("work old ended") < lines.index("work new up")
    one.end()
    assert sorted(one.orphans) == [("receive", False)] * 2 + [("work", False)] * 2


def test_a_process_that_cannot_start_leaves_all_as_they_were(run: Callable[..., Run]) -> None:
    one = run("old")
    wish = one.wish("faulty")
    assert wish.done.wait(60)
    assert "work could not be started" in wish.refused
    assert sorted(one.lines()) == ["receive old up", "work old up"]
    wish = one.wish("new")
    assert wish.done.wait(60) and wish.refused == "", "and another one is taken afterwards"
    one.says("work", "new", "up")


def test_a_wish_during_another_is_none(run: Callable[..., Run]) -> None:
    one = run("old")
    first = one.wish("new")
    assert one.supervisor.succession.ask(Handed()) is None
    assert first.done.wait(60)


def test_a_listener_goes_on_with_what_it_has_while_two_more_have_come(run: Callable[..., Run]) -> None:
    one = run("lingers")
    assert one.wish("second").done.wait(60)
    one.says("receive", "second", "up")
    assert one.wish("third").done.wait(60)
    one.says("receive", "third", "up")
    assert "receive lingers ended" not in one.lines()
    assert one.supervisor.succession.lingers("receive")
    one.end()
    assert "receive lingers ended" in one.lines()


def test_a_process_that_dies_after_the_exchange_is_started_again_with_what_was_taken(run: Callable[..., Run]) -> None:
    one = run("old")
    assert one.wish("new").done.wait(60)
    one.says("work", "new", "up")
    (current,) = [child for child in one.supervisor._children if child.role == "work"]
    assert current.process is not None
    current.process.kill()
    deadline = time.monotonic() + 60
    while one.lines().count("work new up") < 2:
        assert time.monotonic() < deadline
        one.thread.join(0.02)
    assert ("work", True) in one.orphans


def test_a_worker_that_hangs_when_its_heir_comes_is_ended_and_the_heir_begins(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomnode.flow.pulse._PATIENCE_OF", {"work": 2.0})
    well: list[int] = []
    one = run("hangs", look=Watchdog(alive=lambda: well.append(1)).look)
    assert one.wish("new").done.wait(60)
    one.says("work", "new", "up")
    assert ("work", True) in one.orphans, "its job is handed back"
    assert not one.supervisor.succession.lingers("work")


def test_a_system_without_room_for_more_processes_leaves_all_as_they_were(run: Callable[..., Run]) -> None:
    one = run("old")
    one.python = "/nowhere/python"
    wish = one.wish("new")
    assert wish.done.wait(60)
    assert "could not be started (No such file or directory)" in wish.refused
    assert one.thread.is_alive() and sorted(one.lines()) == ["receive old up", "work old up"]
    one.python = sys.executable
    assert (wish := one.wish("new")).done.wait(60) and wish.refused == ""
    one.says("work", "new", "up")


def test_a_process_that_cannot_be_started_again_is_tried_until_it_can(run: Callable[..., Run]) -> None:
    one = run("old")
    (current,) = [child for child in one.supervisor._children if child.role == "work"]
    assert current.process is not None
    one.python = "/nowhere/python"
    current.process.kill()
    deadline = time.monotonic() + 60
    while current.deaths < 2:
        assert time.monotonic() < deadline
        one.thread.join(0.02)
    one.python = sys.executable
    while one.lines().count("work old up") < 2:
        assert time.monotonic() < deadline
        one.thread.join(0.02)
