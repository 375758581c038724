"""Whether the node would take a study at this moment, as far as that can be told without sending it one."""

from __future__ import annotations

import socket

from dicomnode.config import Settings
from dicomnode.flow.prepared import being_prepared
from dicomnode.flow.pulse import ages_seconds, patience_seconds
from dicomnode.flow.retention.disk import disk_of
from dicomnode.store.inspection import Inspection, inspect

#: The port is on this machine, where a connection takes microseconds.
_CONNECT_SECONDS = 1.0

#: Where an address for all interfaces is reached.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - read, not bound


def prepared(settings: Settings) -> bool:
    """Whether the store can be opened at once: nobody migrates it or puts it right."""
    try:
        return not being_prepared(settings.store.folder)
    except OSError:
        return False


def stored(settings: Settings) -> Inspection | None:
    """The store as it is, which is left so; None where there is none."""
    return inspect(settings.store.folder / "node.db", thoroughly=False)


def listening(settings: Settings) -> bool:
    """Whether the port takes a connection; where that is for TLS alone or not known, whether its process lives."""
    if settings.node.port and not (settings.tls.port and settings.tls.only):
        host = _ANY.get(settings.node.host, settings.node.host)
        try:
            socket.create_connection((host, settings.node.port), _CONNECT_SECONDS).close()
        except OSError:
            return False
        return True
    patience = patience_seconds("receive")
    return ages_seconds(settings.store.folder, ("receive",)).get("receive", patience) < patience


def has_room(settings: Settings) -> bool:
    """Whether the disk has more left than what no object is taken into."""
    disk = disk_of(settings.store.folder)
    return 100 - disk.used_percent >= settings.retention.reserve_percent
