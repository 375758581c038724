"""Tests whether a peer answers, and says what to do about one that does not."""

from __future__ import annotations

import socket

from dicomnode.config import Settings
from dicomnode.deliver import dimse, stow_query
from dicomnode.domain.errors import DicomNodeError, NoAssociation
from dicomnode.domain.network import Peer
from dicomnode.flow.verdict import Check, Verdict


def echoed(settings: Settings, peer: Peer) -> tuple[Check, bool]:
    """Whether a peer answers, and whether it cannot be talked to at all."""
    subject = f"peer {peer.title}"
    if not peer.may_receive:
        return Check(subject=subject, verdict=Verdict.OK, found="modality; not asked, since it is sent nothing"), False
    try:
        seconds = answered(settings, peer)
    except DicomNodeError as error:
        found = str(error).removeprefix(f"{peer.title}: ")
        away = isinstance(error, NoAssociation)
        return Check(subject=subject, verdict=Verdict.FAIL, found=found, remedy=_remedy(settings, peer, found)), away
    found = f"answers {'QIDO-RS' if peer.stow else 'C-ECHO'} in {seconds * 1000:.0f} ms"
    return Check(subject=subject, verdict=Verdict.OK, found=found, seconds=round(seconds, 3)), False


def answered(settings: Settings, peer: Peer) -> float:
    """Seconds that a peer takes to answer a C-ECHO, or a query where it gets its results by STOW-RS.

    Raises
    ------
    DeliveryError
        It does not; says why.
    """
    timeouts = dimse.Timeouts(
        connect_seconds=settings.deliver.connect_timeout_seconds,
        dimse_seconds=settings.deliver.response_timeout_seconds,
    )
    if peer.stow is not None:
        return stow_query.ask(peer, timeouts=timeouts)
    return dimse.echo(peer, calling_aet=settings.node.aet, timeouts=timeouts)


def _remedy(settings: Settings, peer: Peer, found: str) -> str:
    """What to do about a peer that does not answer, by what it did instead."""
    if peer.stow is not None:
        return "does its server run at this address, and do stow, stow_authorization and [tls] suit it?"
    us = f"{settings.node.aet} at {our_address(peer)}, port {settings.node.port}"
    if "calling AE title" in found:
        return f"enter this node there: AE title {us}"
    if "called AE title" in found:
        return f"its AE title is not {peer.aet}: ask who keeps it, and correct aet in its entry"
    if "TCP" in found:
        return f"is it running, and does a firewall let {our_address(peer)} through to port {peer.port}?"
    if "TLS" in found:
        return "do both sides believe each other's authority, and is its port one for TLS? See docs/security.md"
    return f"is it running, and does it know {us}?"


def our_address(peer: Peer) -> str:
    """The address of this machine that a peer sees; nothing is sent to find out."""
    try:
        family, kind, protocol, _name, where = socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(where)
            return str(probe.getsockname()[0])
    except OSError:
        return "this machine's address"
