"""The connection of an association under two threads at once."""

from __future__ import annotations

import socket
from pathlib import Path

from pynetdicom import AE

from dicomnode.receive.acceptor import NodeAssociation
from dicomnode.receive.limits import Limits
from dicomnode.receive.pace import Pace
from dicomnode.receive.waiting import WaitingSocket


def test_hanging_up_while_the_network_thread_closes_the_connection_is_no_error(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    association = NodeAssociation(
        AE(ae_title="NODE"), tmp_path, Limits(), lambda *_object: None, lambda _association: None
    )
    connection = WaitingSocket(association, ours, Pace(30.0), association.begun)
    association.attach(connection, Limits())

    class ClosedMeanwhile:
        """What the network thread does between two steps of the other thread, made to happen every time."""

        def shutdown(self, how: int) -> None:
            connection.socket = None
            ours.shutdown(how)

        def close(self) -> None:
            ours.close()

    connection.socket = ClosedMeanwhile()  # type: ignore[assignment]

    association.hang_up()

    assert ours.fileno() == -1
    connection.release()
    theirs.close()
