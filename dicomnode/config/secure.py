"""What TLS needs of the configuration as a whole, and where its files lie."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dicomnode.domain.errors import Fault
from dicomnode.domain.network import Peer, Tls

if TYPE_CHECKING:
    from dicomnode.config.tables import TlsTable

#: Where systemd puts what a unit loads with LoadCredential= (systemd.exec(5)).
CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"


def tls_faults(table: TlsTable | None, peers: tuple[Peer, ...]) -> list[Fault]:
    """What is missing for the TLS that the tables ask for."""
    if table is None:
        return []
    faults = []
    if bool(table.certificate) != bool(table.key):
        remedy = "a certificate and its key belong together; name both"
        faults.append(Fault(key="tls.certificate", value=table.certificate, remedy=remedy))
    if table.port and not table.certificate:
        faults.append(Fault(key="tls.certificate", value="", remedy="a TLS port needs a certificate and its key"))
    if table.port and table.require_client_certificate and not table.ca:
        remedy = "name the authorities of the peers, or set require_client_certificate = false"
        faults.append(Fault(key="tls.ca", value="", remedy=remedy))
    if table.only and not table.port:
        faults.append(Fault(key="tls.only", value=True, remedy="without a TLS port nobody could call; set tls.port"))
    for peer in peers:
        if peer.tls is not None and not table.ca:
            remedy = "name in tls.ca the authority of this peer, whose certificate could not be believed otherwise"
            faults.append(Fault(key=f"peer {peer.name}.tls", value=True, remedy=remedy))
        if peer.certificate_subject and not table.port and peer.tls is None:
            remedy = "certificates are shown over TLS alone; set tls.port, or tls = true in this entry"
            faults.append(Fault(key=f"peer {peer.name}.certificate_subject", value="…", remedy=remedy))
        if peer.user and not (table.port and table.users):
            remedy = "users are asked over TLS alone; set tls.port and tls.users"
            faults.append(Fault(key=f"peer {peer.name}.user", value=peer.user, remedy=remedy))
    return faults


def tls_located(table: TlsTable, base: Path) -> TlsTable:
    """The table with whole paths: a bare name is a credential of systemd if there is one, all else is beside the file.

    Parameters
    ----------
    base
        Folder of the configuration file.
    """
    names = ("certificate", "key", "ca", "users")
    return table.model_copy(update={name: located(getattr(table, name), base) for name in names})


def of_peers(peers: tuple[Peer, ...], table: TlsTable) -> tuple[Peer, ...]:
    """The peers, those that are called over TLS with what that takes."""
    return tuple(replace(peer, tls=as_tls(table)) if peer.tls is not None else peer for peer in peers)


def as_tls(table: TlsTable) -> Tls:
    """What this node shows and trusts."""
    certificate, key, ca = (Path(name) if name else None for name in (table.certificate, table.key, table.ca))
    return Tls(certificate=certificate, key=key, ca=ca, profile=table.profile)


def located(name: str, base: Path) -> str:
    """The whole path of a file that is secret or belongs to one that is; "" for none."""
    if not name:
        return ""
    folder = os.environ.get(CREDENTIALS_DIRECTORY, "")
    if folder and "/" not in name and (Path(folder) / name).exists():
        return str(Path(folder) / name)
    return str(base / name)
