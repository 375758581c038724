"""A port for STOW-RS that cannot be had keeps nobody from DICOM, and is tried again."""

from __future__ import annotations

from threading import Event
from typing import cast

import pytest

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.node import stow
from dicomnode.node.stow import Posts
from dicomnode.web.stow_listener import StowListener


class Fake:
    """A listener for STOW-RS that takes no requests."""

    def __init__(self) -> None:
        self.started, self.under_way = Event(), Event()
        self.graces: list[float | None] = []

    def start(self) -> None:
        self.under_way.set()
        self.started.set()

    def leave(self, grace_seconds: float | None) -> None:
        self.graces.append(grace_seconds)

    @property
    def busy(self) -> bool:
        return self.under_way.is_set()

    def stop(self) -> None:
        self.under_way.clear()


def gone() -> StowListener:
    raise ConfigError([Fault(key="tls.certificate", value="none.pem", remedy="no such file")])


def test_a_file_that_has_gone_is_tried_again_until_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stow, "_AGAIN_SECONDS", 0.01)
    fake, tries = Fake(), [gone, gone]
    posts = Posts()
    posts.begin(lambda: tries.pop()() if tries else cast(StowListener, fake))
    assert fake.started.wait(30), "the process that listens goes on meanwhile"
    posts.leave(None)
    assert posts.busy
    posts.leave(2)
    posts.stop()
    assert fake.graces == [None, 2]
    assert not fake.under_way.is_set()


def test_who_leaves_meanwhile_does_not_listen_any_more() -> None:
    posts = Posts()
    posts.begin(gone)
    posts.leave(None)
    posts.stop()
    assert not posts.busy


def test_without_a_port_there_is_nothing_to_leave() -> None:
    posts = Posts()
    posts.leave(None)
    posts.stop()
    assert not posts.busy
