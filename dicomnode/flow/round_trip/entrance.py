"""The door of the running node, for a caller on the same machine."""

from __future__ import annotations

from fcntl import LOCK_NB, LOCK_SH, flock
from ipaddress import ip_address
from pathlib import Path

from dicomnode.config import Settings
from dicomnode.config.secure import as_tls
from dicomnode.domain.network import Peer
from dicomnode.flow.checkpoint import lock_file
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.tls.expiry import validities

_ROLES = ("receive", "work", "deliver")


def runs(settings: Settings, role: str) -> bool:
    """Whether a process of this role holds its lock on the store."""
    try:
        with lock_file(settings.store.folder, role).open() as lock:
            flock(lock, LOCK_SH | LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def hindrance(settings: Settings) -> Check | None:
    """Which processes of the node do not run, so that no study comes back; None if all do."""
    away = [role for role in _ROLES if not runs(settings, role)]
    if not away:
        return None
    found = f"{', '.join(away)}: no such process runs on the store {settings.store.folder}"
    remedy = "start the node: systemctl start dicomnode.target, or dicomnode run"
    return Check(subject="running node", verdict=Verdict.FAIL, found=found, remedy=remedy)


def entrance(settings: Settings, called_aet: str) -> Peer:
    """The node as a peer of its own; over TLS, with its own certificate, where it listens there alone."""
    host, table = settings.node.host, settings.tls
    try:
        address = ip_address(host)
        if address.is_unspecified:
            host = "::1" if address.version == 6 else "127.0.0.1"
    except ValueError:
        pass  # a name
    if not table.only:
        return Peer(name="this node", aet=called_aet, host=host, port=settings.node.port)
    own = validities(Path(table.certificate))[0].subject
    return Peer(
        name="this node", aet=called_aet, host=host, port=table.port, tls=as_tls(table), certificate_subject=own
    )  # fmt: skip
