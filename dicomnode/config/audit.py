"""What the audit trail needs of the configuration, and where its files lie."""

from __future__ import annotations

from pathlib import Path

from dicomnode.config.secure import located
from dicomnode.config.tables import Audit, Settings, TlsTable
from dicomnode.domain.errors import Fault
from dicomnode.domain.network import Tls

#: Below the folder of the store, where nothing else is named.
_FOLDER = "audit"


def audit_faults(table: Audit | None, tls: TlsTable | None) -> list[Fault]:
    """What is missing for the collector that the tables name."""
    if table is None or tls is None or not table.syslog_host:
        return []
    faults = []
    if not table.enabled:
        remedy = "there is nothing to send without a trail; set audit.enabled, or leave the collector out"
        faults.append(Fault(key="audit.syslog_host", value=table.syslog_host, remedy=remedy))
    if not (table.syslog_ca or tls.ca):
        remedy = "name the authority of the collector, whose certificate could not be believed otherwise"
        faults.append(Fault(key="audit.syslog_ca", value="", remedy=remedy))
    if bool(table.syslog_certificate) != bool(table.syslog_key):
        remedy = "a certificate and its key belong together; name both"
        faults.append(Fault(key="audit.syslog_certificate", value=table.syslog_certificate, remedy=remedy))
    return faults


def audit_located(table: Audit, base: Path) -> Audit:
    """The table with whole paths, as `secure.tls_located` finds them."""
    names = ("syslog_ca", "syslog_certificate", "syslog_key")
    found = {name: located(getattr(table, name), base) for name in names}
    folder = str(base / table.folder) if table.folder else ""
    return table.model_copy(update={**found, "folder": folder})


def folder_of(settings: Settings) -> Path:
    """Where the trail is."""
    return Path(settings.audit.folder) if settings.audit.folder else settings.store.folder / _FOLDER


def collector_tls(settings: Settings) -> Tls:
    """What is shown to the collector and trusted of it: what `[audit]` names, or else what `[tls]` does."""
    table, tls = settings.audit, settings.tls
    ours = (table.syslog_certificate, table.syslog_key) if table.syslog_key else (tls.certificate, tls.key)
    certificate, key, ca = (Path(name) if name else None for name in (*ours, table.syslog_ca or tls.ca))
    return Tls(certificate=certificate, key=key, ca=ca, profile=tls.profile)
