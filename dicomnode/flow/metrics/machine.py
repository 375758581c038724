"""Reads what the machine says: disk, store, processes, certificates, audit trail, GPUs, versions."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from dicomnode import __version__
from dicomnode.audit.head import Lost, noted_head, read_lost
from dicomnode.audit.syslog import read_position
from dicomnode.config import Settings
from dicomnode.config.audit import folder_of
from dicomnode.config.certificates import certificate_files
from dicomnode.flow.metrics.gpu import gpus_told
from dicomnode.flow.pulse import ages_seconds
from dicomnode.flow.retention.disk import disk_of
from dicomnode.store.counts import Counts
from dicomnode.store.database import Database
from dicomnode.tls.expiry import validities

#: Every process that a node may have.
PROCESSES = ("receive", "work", "deliver", "web")

#: Name of a family, values of its labels, and what was found.
Sample = tuple[str, tuple[str, ...], float]


def machine(counts: Counts, db: Database, settings: Settings) -> Iterator[Sample]:
    """Everything of that which there is.

    Raises
    ------
    OutOfResources
        The database cannot be read.
    OSError
        The disk cannot be asked.
    """
    folder = settings.store.folder
    disk = disk_of(folder)
    yield "dicomnode_disk_used_bytes", (), disk.used_bytes
    yield "dicomnode_disk_free_bytes", (), disk.free_bytes
    yield "dicomnode_disk_reserve_bytes", (), disk.size_bytes * settings.retention.reserve_percent / 100
    for kind, path in (("database", db.path), ("log", db.path.with_name(f"{db.path.name}-wal"))):
        yield "dicomnode_store_bytes", (kind,), path.stat().st_size if path.exists() else 0.0
    for role, age in ages_seconds(folder, PROCESSES).items():
        yield "dicomnode_heartbeat_age_seconds", (role,), age
    yield from _certificates(settings, db.clock())
    yield from _audit(settings)
    for one in gpus_told(folder):
        yield "dicomnode_gpu_memory_used_bytes", (str(one.index),), one.used_bytes
        yield "dicomnode_gpu_memory_bytes", (str(one.index),), one.size_bytes
        yield "dicomnode_gpu_utilisation_ratio", (str(one.index),), one.busy
    yield "dicomnode_build_info", (__version__, platform.python_version(), str(counts.schema())), 1.0


def _certificates(settings: Settings, now: datetime) -> Iterator[Sample]:
    for key, path in certificate_files(settings):
        try:
            ends = _first_end(str(path), path.stat().st_mtime_ns)
        except OSError:
            # A file that cannot be read secures nothing: that is as good as expired, and `check` says why.
            ends = None
        yield "dicomnode_certificate_expiry_seconds", (key,), (ends - now).total_seconds() if ends else 0.0


@lru_cache(maxsize=32)
def _first_end(name: str, _changed_ns: int) -> datetime | None:
    """When the first certificate of a file ends; read anew when the file changes."""
    return min((one.ends for one in validities(Path(name))), default=None)


def _audit(settings: Settings) -> Iterator[Sample]:
    if not settings.audit.enabled:
        return
    folder = folder_of(settings)
    try:
        # Read without the lock, since nobody is to wait for a look: half a record is none, and the next look finds it.
        with (folder / "head").open("rb") as file:
            head, lost = noted_head(file.fileno()), read_lost(file.fileno())
    except FileNotFoundError:
        head, lost = None, Lost()
    yield "dicomnode_audit_lost_messages", (), lost.count
    if settings.audit.syslog_host and head is not None:
        yield "dicomnode_audit_backlog_messages", (), max(0, head.sequence - read_position(folder))
