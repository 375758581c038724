"""A listener can take over a port that is open already, and leave it to the next one without turning anybody away."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from pynetdicom import AE

from dicomnode.domain.errors import ConfigError
from dicomnode.domain.network import Association
from dicomnode.domain.study import Arrival
from dicomnode.receive.admission import Admission
from dicomnode.receive.ports import listening
from dicomnode.receive.scp import Listener

VERIFICATION = "1.2.840.10008.1.1"


class Intake:
    """Takes nothing."""

    def __init__(self) -> None:
        self.closed_all = Event()
        self.open: set[str] = set()

    def opened(self, association: Association) -> None:
        self.open.add(association.association_id)

    def accept(self, arrival: Arrival) -> None:
        raise AssertionError(arrival)

    def closed(self, association: Association) -> None:
        self.open.discard(association.association_id)


@pytest.fixture
def port() -> Iterator[socket.socket]:
    opened = listening("node.port", "127.0.0.1", 0)
    yield opened
    opened.close()


def listener(port: socket.socket, folder: Path) -> Listener:
    made = Listener(
        aets=["NODE"], host="127.0.0.1", port=0, intake=Intake(), incoming=folder,
        admission=Admission(peers=(), called_aets=frozenset({"NODE"}), accept_unknown=True),
        inherited={"node.port": os.dup(port.fileno())},
    )  # fmt: skip
    made.start()
    return made


def echoes(port: socket.socket) -> bool:
    ae = AE(ae_title="PEER")
    ae.add_requested_context(VERIFICATION)
    association = ae.associate("127.0.0.1", port.getsockname()[1], ae_title="NODE")
    if not association.is_established:
        return False
    status = association.send_c_echo()
    association.release()
    return bool(status.Status == 0)


def test_who_calls_between_two_listeners_waits_and_is_served_by_the_second(port: socket.socket, tmp_path: Path) -> None:
    first = listener(port, tmp_path)
    assert first.port == port.getsockname()[1] and echoes(port)
    first.hand_on()
    answers: list[bool] = []
    caller = Thread(target=lambda: answers.append(echoes(port)))
    caller.start()
    second = listener(port, tmp_path)
    caller.join(30)
    assert answers == [True]
    first.stop(0)
    assert echoes(port), "the end of the first does not close the port"
    second.stop(0)


def test_an_association_that_is_open_goes_on_after_the_port_was_handed_on(port: socket.socket, tmp_path: Path) -> None:
    first = listener(port, tmp_path)
    ae = AE(ae_title="PEER")
    ae.add_requested_context(VERIFICATION)
    association = ae.associate("127.0.0.1", port.getsockname()[1], ae_title="NODE")
    first.hand_on()
    busy = [first.busy]
    assert association.send_c_echo().Status == 0
    association.release()
    while busy[-1]:
        association.join(0.01)
        busy.append(first.busy)
    assert busy[0]
    first.stop(0)


def test_a_port_that_is_taken_is_told_with_its_key(port: socket.socket) -> None:
    with pytest.raises(ConfigError, match=r"node\.port.*choose a free port"):
        listening("node.port", "127.0.0.1", port.getsockname()[1])
