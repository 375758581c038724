"""Tests what TLS rests on: that certificate, key and authorities can be used, and for how long they are valid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import structlog

from dicomnode.config import Settings
from dicomnode.config.certificates import certificate_files
from dicomnode.domain.clock import utc_now
from dicomnode.flow.preflight.named import failed, faults
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.tls.expiry import WARN_DAYS, validities
from dicomnode.tls.profile import PROFILES

_log = structlog.get_logger(__name__)


def secure_transport(settings: Settings) -> Iterator[Check]:
    """Whether TLS can be spoken, then every certificate that it rests on; nothing where no TLS is configured."""
    table = settings.tls
    called = [peer.name for peer in settings.peers if peer.tls is not None]
    posted = settings.stow.port if settings.stow.tls else 0
    if not table.port and not called and not posted:
        return
    places = [f"{word} {port}" for word, port in (("port", table.port), ("STOW-RS port", posted)) if port]
    subject = " and ".join([*places, *([f"calls to {', '.join(called)}"] if called else [])])
    wrong = faults(settings, "tls")
    for fault in wrong:
        yield failed(f"TLS: {subject}", fault)
    if wrong:
        return
    yield Check(subject=f"TLS: {subject}", verdict=Verdict.OK, found=PROFILES[table.profile].title)
    if table.port and not table.require_client_certificate:
        yield Check(
            subject="TLS: callers",
            verdict=Verdict.WARN,
            found="need no certificate, so that an AE title and an address are all that tells who calls",
            remedy="set require_client_certificate = true and name the authorities in ca",
        )
    yield from certificates(settings, utc_now(), ("tls",))


def certificates(settings: Settings, now: datetime, parts: Sequence[str] = ("tls", "web", "audit")) -> Iterator[Check]:
    """Every certificate of ours and of the authorities that we believe, and how long it is valid.

    Parameters
    ----------
    parts
        Tables of the configuration that are looked at.
    """
    for key, path in certificate_files(settings):
        if key.split(".")[0] not in parts:
            continue
        try:
            found = validities(path)
        except OSError as error:
            remedy = "a PEM file with certificates"
            yield Check(subject=key, verdict=Verdict.FAIL, found=error.strerror or str(error), remedy=remedy)
            continue
        for one in found:
            days = one.days_left(now)
            verdict = Verdict.OK if days >= WARN_DAYS else Verdict.WARN if one.ends > now else Verdict.FAIL
            told = f"valid until {one.ends:%Y-%m-%d}" if one.ends > now else f"expired on {one.ends:%Y-%m-%d}"
            if one.begins > now:
                verdict, told = Verdict.FAIL, f"not valid before {one.begins:%Y-%m-%d %H:%M} UTC"
            then = "restart the web process" if key == "web.certificate" else "the node reads it at the next connection"
            remedy = "" if verdict is Verdict.OK else f"replace {path}; {then}"
            yield Check(subject=f"{key} {one.subject}", verdict=verdict, found=told, remedy=remedy)


def warn_of_expiry(settings: Settings) -> None:
    """Log every certificate that ends soon or has ended; called once a day."""
    for one in certificates(settings, utc_now()):
        if one.verdict is not Verdict.OK:
            _log.warning("certificate_ends", subject=one.subject, found=one.found, remedy=one.remedy)
