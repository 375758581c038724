"""Tests whether the audit trail can be kept, and whether its collector is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

from dicomnode.audit.syslog import Collector
from dicomnode.config import Settings
from dicomnode.config.audit import collector_tls, folder_of
from dicomnode.domain.clock import utc_now
from dicomnode.domain.errors import ConfigError
from dicomnode.flow.preflight.named import failed, faults
from dicomnode.flow.preflight.tls import certificates
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.tls.connection import reason_of

#: Permissions of the folder that others than its owner have.
_OTHERS = 0o077


def audit_trail(settings: Settings, *, quick: bool = False) -> Iterator[Check]:
    """Whether its folder can be written by this account alone; unless `quick`, whether the collector agrees on TLS."""
    table = settings.audit
    if not table.enabled:
        found = "none is kept ([audit] enabled = false)"
        yield Check(subject="audit trail", verdict=Verdict.WARN, found=found, remedy="set enabled = true")
        return
    folder = folder_of(settings)
    nearest = next(one for one in (folder, *folder.parents) if one.exists())
    subject = f"audit trail {folder}"
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        remedy = f"give {nearest} to the node's account (a unit of systemd also needs ReadWritePaths=)"
        yield Check(subject=subject, verdict=Verdict.FAIL, found=f"{nearest} cannot be written to", remedy=remedy)
    elif nearest == folder and folder.stat().st_mode & _OTHERS:
        found, remedy = "others may enter it, and it names patients", f"chmod 0700 {folder}"
        yield Check(subject=subject, verdict=Verdict.WARN, found=found, remedy=remedy)
    else:
        yield Check(subject=subject, verdict=Verdict.OK, found="can be written")
    wrong = faults(settings, "audit")
    for fault in wrong:
        yield failed(f"audit collector {table.syslog_host}:{table.syslog_port}", fault)
    if table.syslog_host and not wrong:
        yield from certificates(settings, utc_now(), ("audit",))
    if table.syslog_host and not quick and not wrong:
        yield _collector(settings)


def _collector(settings: Settings) -> Check:
    host, port = settings.audit.syslog_host, settings.audit.syslog_port
    subject = f"audit collector {host}:{port}"
    try:
        with closing(Collector(host=host, port=port, tls=collector_tls(settings)).connect()):
            return Check(subject=subject, verdict=Verdict.OK, found="agrees on TLS")
    except ConfigError as error:
        fault = error.faults[0]
        return Check(subject=subject, verdict=Verdict.FAIL, found=f"{fault.key} = {fault.value!r}", remedy=fault.remedy)
    except OSError as error:
        remedy = "what is recorded waits for it; look at host, port and certificates of both sides"
        return Check(subject=subject, verdict=Verdict.FAIL, found=reason_of(error), remedy=remedy)
