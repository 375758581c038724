"""Tests everything that a call to support would ask for, and says what to do about what fails."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from fcntl import LOCK_NB, LOCK_SH, flock

from dicomnode.config import Settings
from dicomnode.flow.commitment.check import committing
from dicomnode.flow.identity.check import asked_archives
from dicomnode.flow.preflight.audit import audit_trail
from dicomnode.flow.preflight.deident import pseudonyms
from dicomnode.flow.preflight.models import models
from dicomnode.flow.preflight.peers import peers
from dicomnode.flow.preflight.priors import prior_sources
from dicomnode.flow.preflight.tls import secure_transport
from dicomnode.flow.retention.check import asked_for_images
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.store.database import NETWORK_FILE_SYSTEMS, file_system

_WANTED_FREE_BYTES = 10 * 1024**3


def check(settings: Settings) -> Iterator[Check]:
    """All checks, in the order in which to mend them."""
    yield Check(
        subject="configuration",
        verdict=Verdict.OK if settings.rules else Verdict.WARN,
        found=f"{_count(len(settings.peers), 'peer')}, {_count(len(settings.rules), 'rule')}",
        remedy="" if settings.rules else "without a [[rule]] nothing is analysed",
    )
    yield _folder(settings)
    yield from audit_trail(settings)
    yield from models(settings)
    yield from (_port(settings, number, key) for key, number in _ports(settings))
    yield from secure_transport(settings)
    yield from pseudonyms(settings)
    yield from peers(settings)
    yield from committing(settings)
    yield from asked_archives(settings)
    yield from asked_for_images(settings)
    yield from prior_sources(settings)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _folder(settings: Settings) -> Check:
    folder = settings.store.folder
    subject = f"store {folder}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            os.fsync(file.fileno())
    except OSError as error:
        remedy = "make the folder, and give it to the user that runs the node"
        return Check(subject=subject, verdict=Verdict.FAIL, found=str(error.strerror), remedy=remedy)
    kind = file_system(folder)
    if kind in NETWORK_FILE_SYSTEMS:
        remedy = "put the store on a local disk: SQLite's locks do not hold on network file systems"
        return Check(subject=subject, verdict=Verdict.FAIL, found=f"file system {kind}", remedy=remedy)
    if folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        remedy = f"studies are patient data: chmod 700 {folder}"
        return Check(subject=subject, verdict=Verdict.WARN, found="open to other accounts", remedy=remedy)
    free = shutil.disk_usage(folder).free
    if free < _WANTED_FREE_BYTES:
        remedy = "300 CT slices take 150 MB; leave room for the studies of a few days"
        return Check(subject=subject, verdict=Verdict.WARN, found=f"{free / 1024**3:.1f} GiB free", remedy=remedy)
    return Check(subject=subject, verdict=Verdict.OK, found=f"{kind}, {free / 1024**3:.0f} GiB free")


def _ports(settings: Settings) -> Iterator[tuple[str, int]]:
    if not settings.tls.only:
        yield "port", settings.node.port
    if settings.tls.port:
        yield "TLS port", settings.tls.port


def _port(settings: Settings, number: int, what: str) -> Check:
    node = settings.node
    subject = f"{what} {number}"
    family = socket.AF_INET6 if ":" in node.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((node.host, number))
        except OSError as error:
            if _runs(settings):
                return Check(subject=subject, verdict=Verdict.OK, found="the node that runs on this store listens")
            remedy = "another program listens there, or node.host is no address of this machine"
            return Check(subject=subject, verdict=Verdict.FAIL, found=str(error.strerror), remedy=remedy)
    return Check(subject=subject, verdict=Verdict.OK, found="free; no node is running")


def _runs(settings: Settings) -> bool:
    """Whether a listener holds its lock on this store."""
    try:
        with (settings.store.folder / "receive.lock").open() as lock:
            flock(lock, LOCK_SH | LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
