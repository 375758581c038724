"""Every file of certificates that the configuration names, by its key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dicomnode.config.tables import Settings


def certificate_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Key and file of what this node shows, and of the authorities that it believes, of those that are named."""
    for key, name in (
        ("tls.certificate", settings.tls.certificate),
        ("tls.ca", settings.tls.ca),
        ("web.certificate", settings.web.certificate),
        ("audit.syslog_certificate", settings.audit.syslog_certificate),
        ("audit.syslog_ca", settings.audit.syslog_ca),
    ):
        if name:
            yield key, Path(name)
