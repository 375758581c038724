"""A listener makes way for its heir: what is left of a sweep is for the heir, and whoever is connected is served."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from dicomnode.flow import child, pulse
from dicomnode.node import settling


class Told:
    """Notes in which order everything is asked to make way."""

    def __init__(self, stop: Event) -> None:
        self.words: list[str] = []
        self.stop, self.rounds = stop, 3

    def shutdown(self, *, wait: bool) -> None:
        assert wait
        self.words.append("settles no more")

    def leave(self, grace_seconds: float | None) -> None:
        assert grace_seconds is None, "a request goes on to its end, as an association does"
        self.words.append("left the port of STOW-RS")

    def hand_on(self) -> None:
        self.words.append("left the port")

    def checkpoint(self, _truncate: bool) -> None:
        self.words.append("log moved")

    @property
    def busy(self) -> bool:
        self.rounds -= 1
        return self.rounds > 0


def make_way(told: Any, listener: Any, posts: Any, stop: Event) -> None:
    settling._make_way(told, listener, posts, told, stop)


class Idle:
    """Nobody is connected."""

    busy = False

    def hand_on(self) -> None: ...

    def leave(self, _grace_seconds: float | None) -> None: ...


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_LINGER_SECONDS", 0.001)
    monkeypatch.setattr(child, "_left", Event())
    monkeypatch.setattr(pulse, "_last_round", [])


def test_it_settles_no_more_before_it_leaves_its_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Event()
    told = Told(stop)
    monkeypatch.setattr(child, "say_left", lambda: told.words.append("the heir may begin"))
    make_way(told, told, told, stop)
    assert told.words == [
        "settles no more", "left the port of STOW-RS", "left the port", "log moved", "the heir may begin"
    ]  # fmt: skip


def test_it_stays_for_a_request_over_the_web_and_gives_signs_of_life_meanwhile() -> None:
    stop = Event()
    posts = Told(stop)
    make_way(Told(stop), Idle(), posts, stop)
    assert posts.rounds == 0 and child.has_left()
    assert pulse._last_round, "the watchdog does not take it for one that hangs"


def test_it_ends_when_the_node_stops_whoever_is_connected() -> None:
    stop = Event()
    stop.set()
    listener = Told(stop)
    listener.rounds = 10**9
    make_way(Told(stop), listener, Idle(), stop)
    assert listener.rounds > 10**8


def test_no_comparison_begins_once_it_shall_make_way(tmp_path: Path) -> None:
    """Each may take a minute, and there is no limit to how many wait."""
    with settling._pixels(lambda: True) as compare:
        assert compare(tmp_path / "first", tmp_path / "second") is None


def test_one_that_has_made_way_gives_its_sign_of_life_to_its_supervisor_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Event()
    monkeypatch.setattr(child, "say_alive", said.set)
    child.say_left()
    with pulse.beating(tmp_path, "receive"):
        assert said.wait(30)
    assert pulse.last_ns(tmp_path, "receive") == 0
