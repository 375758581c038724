"""What STOW-RS needs of the configuration as a whole, in both directions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from dicomnode.config.secure import as_tls, located
from dicomnode.config.tables import PeerTable, RetentionTable, StowTable, TlsTable
from dicomnode.domain.errors import Fault
from dicomnode.domain.network import LOOPBACK_NAMES, Peer, Stow
from dicomnode.domain.rule import Rule

_ASKED = "it is asked by association for priors or for what it keeps; write its DICOM port"


def stow_of(table: PeerTable) -> Stow | None:
    """Where results go by STOW-RS as the entry says; its files are found later."""
    if not table.stow:
        return None
    authorization = Path(table.stow_authorization) if table.stow_authorization else None
    return Stow(url=table.stow.rstrip("/"), authorization=authorization)


def stow_located(peers: tuple[Peer, ...], tls: TlsTable, base: Path) -> tuple[Peer, ...]:
    """The peers, those on the web with whole paths of their files.

    Parameters
    ----------
    tls
        With whole paths already.
    base
        Folder of the configuration file.
    """
    return tuple(replace(peer, stow=_located(peer.stow, tls, base)) if peer.stow else peer for peer in peers)


def stow_faults(
    table: StowTable | None,
    tls: TlsTable | None,
    retention: RetentionTable | None,
    peers: tuple[Peer, ...],
    rules: tuple[Rule, ...],
) -> list[Fault]:
    """What is missing or contradicts itself."""
    if table is None or tls is None or retention is None:
        return []
    faults = []
    if table.port and table.tls and not tls.certificate:
        remedy = "name certificate and key in [tls], or set tls = false where a proxy on this machine does TLS"
        faults.append(Fault(key="stow.tls", value=True, remedy=remedy))
    for name, count in Counter(peer.token for peer in peers if peer.token).items():
        if count > 1:
            faults.append(Fault(key="peer.token", value=name, remedy="one token stands for one peer; add another"))
    asked = {source for rule in rules if rule.priors for source in rule.priors.peers}
    asked |= {*retention.inputs_confirmed_by, *(name for peer in peers for name in peer.committed_by)}
    for peer in peers:
        key = f"peer {peer.name}"
        if peer.token and not table.port:
            remedy = "tokens are shown by STOW-RS; set stow.port, or remove the line"
            faults.append(Fault(key=f"{key}.token", value=peer.token, remedy=remedy))
        if peer.stow is not None:
            faults += _of_stow(peer.stow, key, tls)
        if not peer.speaks_dimse:
            faults += _without_port(peer, key, asked)
    return faults


def _of_stow(stow: Stow, key: str, tls: TlsTable) -> list[Fault]:
    address = urlsplit(stow.url)
    if address.scheme == "https" and not tls.ca:
        remedy = "name in tls.ca the authority of this peer, whose certificate could not be believed otherwise"
        return [Fault(key=f"{key}.stow", value=stow.url, remedy=remedy)]
    loopback = address.hostname in LOOPBACK_NAMES or (address.hostname or "").startswith("127.")
    if address.scheme == "http" and stow.authorization is not None and not loopback:
        remedy = "others could read the secret on its way; use an https address"
        return [Fault(key=f"{key}.stow_authorization", value="…", remedy=remedy)]
    return []


def _without_port(peer: Peer, key: str, asked: set[str]) -> list[Fault]:
    if peer.stow is None:
        return [Fault(key=f"{key}.port", value=0, remedy="write its port; only a peer with stow needs none")]
    wishes = {"commitment": peer.commitment, "verify": peer.verify, "tls": peer.tls is not None}
    remedy = "this needs associations; write its DICOM port, or remove the line"
    faults = [Fault(key=f"{key}.{name}", value=True, remedy=remedy) for name, wish in wishes.items() if wish]
    if peer.name in asked:
        faults.append(Fault(key=f"{key}.port", value=0, remedy=_ASKED))
    return faults


def _located(stow: Stow, tls: TlsTable, base: Path) -> Stow:
    name = located(str(stow.authorization), base) if stow.authorization else ""
    secure = stow.url.startswith("https:")
    return replace(stow, authorization=Path(name) if name else None, tls=as_tls(tls) if secure else None)
