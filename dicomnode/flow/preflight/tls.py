"""Tests what TLS rests on: that certificate, key and authorities can be used, and for how long they are valid."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import structlog

from dicomnode.config import Settings
from dicomnode.config.secure import as_tls
from dicomnode.domain.clock import utc_now
from dicomnode.domain.errors import ConfigError
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.receive.users import Users
from dicomnode.tls.credentials import Credentials
from dicomnode.tls.expiry import WARN_DAYS, validities
from dicomnode.tls.profile import PROFILES

_log = structlog.get_logger(__name__)


def secure_transport(settings: Settings) -> Iterator[Check]:
    """Whether TLS can be spoken, then every certificate that it rests on; nothing where no TLS is configured."""
    table = settings.tls
    called = [peer.name for peer in settings.peers if peer.tls is not None]
    if not table.port and not called:
        return
    places = [f"port {table.port}"] if table.port else []
    subject = " and ".join([*places, *([f"calls to {', '.join(called)}"] if called else [])])
    try:
        if table.port:
            Credentials(as_tls(table), server=True, required=table.require_client_certificate)
        if called:
            Credentials(as_tls(table), server=False)
        if table.users:
            Users(Path(table.users))
    except ConfigError as error:
        for fault in error.faults:
            found = f"{fault.key} = {fault.value!r}"
            yield Check(subject=f"TLS: {subject}", verdict=Verdict.FAIL, found=found, remedy=fault.remedy)
        return
    yield Check(subject=f"TLS: {subject}", verdict=Verdict.OK, found=PROFILES[table.profile].title)
    if table.port and not table.require_client_certificate:
        yield Check(
            subject="TLS: callers",
            verdict=Verdict.WARN,
            found="need no certificate, so that an AE title and an address are all that tells who calls",
            remedy="set require_client_certificate = true and name the authorities in ca",
        )
    yield from certificates(settings, utc_now())


def certificates(settings: Settings, now: datetime) -> Iterator[Check]:
    """Every certificate of ours and of the authorities that we believe, and how long it is valid."""
    for key, name in (("certificate", settings.tls.certificate), ("ca", settings.tls.ca)):
        if not name:
            continue
        try:
            found = validities(Path(name))
        except OSError as error:
            remedy = "a PEM file with certificates"
            yield Check(subject=f"tls.{key}", verdict=Verdict.FAIL, found=error.strerror or str(error), remedy=remedy)
            continue
        for one in found:
            days = one.days_left(now)
            verdict = Verdict.OK if days >= WARN_DAYS else Verdict.WARN if one.ends > now else Verdict.FAIL
            told = f"valid until {one.ends:%Y-%m-%d}" if one.ends > now else f"expired on {one.ends:%Y-%m-%d}"
            if one.begins > now:
                verdict, told = Verdict.FAIL, f"not valid before {one.begins:%Y-%m-%d %H:%M} UTC"
            remedy = "" if verdict is Verdict.OK else f"replace {name}; the node reads it at the next association"
            yield Check(subject=f"tls.{key} {one.subject}", verdict=verdict, found=told, remedy=remedy)


def warn_of_expiry(settings: Settings) -> None:
    """Log every certificate that ends soon or has ended; called once a day."""
    for one in certificates(settings, utc_now()):
        if one.verdict is not Verdict.OK:
            _log.warning("certificate_ends", subject=one.subject, found=one.found, remedy=one.remedy)
