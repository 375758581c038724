"""Until when the certificates in a PEM file are valid."""

from __future__ import annotations

import re
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dicomnode.domain.certificate import Certificate

#: Days before the end from which on it is told: time enough for a hospital's authority to issue a new one.
WARN_DAYS = 30

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """One certificate and the time in which it is valid."""

    subject: str
    begins: datetime
    ends: datetime

    def days_left(self, now: datetime) -> int:
        """Whole days until it ends; negative afterwards."""
        return (self.ends - now).days


def validities(path: Path) -> list[Validity]:
    """Every certificate in a PEM file, in its order.

    Raises
    ------
    OSError
        The file cannot be read, or holds something that is no certificate.
    """
    found = []
    for block in _PEM.findall(path.read_bytes()):
        decoded = _decoded(block)
        found.append(
            Validity(
                subject=Certificate.of(decoded).subject,
                begins=_time(decoded["notBefore"]),
                ends=_time(decoded["notAfter"]),
            )
        )
    return found


def _decoded(pem: bytes) -> dict[str, Any]:
    """The fields of a certificate as `getpeercert` gives them.

    The standard library decodes a certificate of no connection by this function alone, which reads a file.
    """
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(pem)
        file.flush()
        decoded: dict[str, Any] = ssl._ssl._test_decode_cert(file.name)  # type: ignore[attr-defined]
        return decoded


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
