"""A process of the node outlives its supervisor by no longer than it takes to drain."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from threading import Event

import pytest

from dicomnode.flow.child import LIFELINE, READY, say_ready, stop_with_supervisor


@pytest.fixture
def orphan(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is a child whose supervisor was killed while it started."""
    lifeline, supervisors_end = os.pipe()
    listened, speak = os.pipe()
    os.close(supervisors_end)
    os.close(listened)
    monkeypatch.setenv(LIFELINE, str(lifeline))
    monkeypatch.setenv(READY, str(speak))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    os.close(lifeline)
    os.close(speak)


@pytest.mark.usefixtures("orphan")
def test_a_process_whose_supervisor_died_while_it_started_drains_instead_of_failing_with_its_port_open() -> None:
    stop = Event()
    stop_with_supervisor(stop)

    say_ready()

    assert stop.wait(20)
