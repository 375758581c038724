"""Tests the ports of the node: free, or held by the node that runs on this store."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from dicomnode.config import Settings
from dicomnode.domain.clock import utc_now
from dicomnode.flow.preflight.named import failed, faults
from dicomnode.flow.preflight.tls import certificates
from dicomnode.flow.round_trip.entrance import runs
from dicomnode.flow.verdict import Check, Verdict


def ports(settings: Settings) -> Iterator[Check]:
    """Every port on which the listener and the dashboard are to listen."""
    node, web = settings.node, settings.web
    if not settings.tls.only:
        yield _port(settings, node.host, node.port, "port", "receive", "node.host")
    if settings.tls.port:
        yield _port(settings, node.host, settings.tls.port, "TLS port", "receive", "node.host")
    if settings.stow.port:
        host = settings.stow.host or node.host
        yield _port(settings, host, settings.stow.port, "STOW-RS port", "receive", "stow.host")
    if web.port:
        yield _port(settings, web.host, web.port, "dashboard port", "web", "web.host")
        yield from _dashboard(settings)


def _port(settings: Settings, host: str, number: int, what: str, role: str, key: str) -> Check:
    subject = f"{what} {number}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            if runs(settings, role):
                return Check(subject=subject, verdict=Verdict.OK, found="the node that runs on this store listens")
            remedy = f"another program listens there, or {key} is no address of this machine"
            if isinstance(error, PermissionError):
                remedy = "ports below 1024 need the capability CAP_NET_BIND_SERVICE; choose one above"
            return Check(subject=subject, verdict=Verdict.FAIL, found=error.strerror or str(error), remedy=remedy)
    if runs(settings, role):
        found = "free, although the node runs"
        remedy = "it was started with another port, which no reload changes: systemctl restart dicomnode.target"
        return Check(subject=subject, verdict=Verdict.WARN, found=found, remedy=remedy)
    return Check(subject=subject, verdict=Verdict.OK, found="free; no node is running")


def _dashboard(settings: Settings) -> Iterator[Check]:
    web = settings.web
    for fault in (wrong := faults(settings, "web")):
        yield failed(f"TLS: dashboard port {web.port}", fault)
    if not wrong:
        yield from certificates(settings, utc_now(), ("web",))
