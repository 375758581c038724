"""What a peer's certificate says of it, and whether that is what the configuration expects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Attribute types of a distinguished name (RFC 4514 section 3, and those that certificates of devices use) as OpenSSL
#: spells them out.
ATTRIBUTES = {
    "CN": "commonName",
    "O": "organizationName",
    "OU": "organizationalUnitName",
    "C": "countryName",
    "ST": "stateOrProvinceName",
    "L": "localityName",
    "DC": "domainComponent",
    "UID": "userId",
    "SERIALNUMBER": "serialNumber",
    "EMAIL": "emailAddress",
}

#: Kinds of subject alternative name (RFC 5280 4.2.1.6).
ALTERNATIVES = {"DNS": "DNS", "IP": "IP Address", "URI": "URI"}

_SHORT = {long: short for short, long in ATTRIBUTES.items()}
_COMMA = re.compile(r"(?<!\\),")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate whose chain was verified.

    Attributes
    ----------
    names
        (attribute type or kind of alternative name, value), as OpenSSL spells them out.
    """

    names: frozenset[tuple[str, str]]
    subject: str

    @classmethod
    def of(cls, decoded: Mapping[str, Any]) -> Certificate:
        """From what `ssl.SSLSocket.getpeercert` returns."""
        parts = [(str(kind), str(value)) for each in decoded.get("subject", ()) for kind, value in each]
        others = [(str(kind), str(value)) for kind, value in decoded.get("subjectAltName", ())]
        words = [f"{_SHORT.get(kind, kind)}={value.replace(',', chr(92) + ',')}" for kind, value in parts]
        return cls(names=frozenset([*parts, *others]), subject=", ".join(words))

    def bears(self, expected: str) -> bool:
        """Whether every name that `expected` lists is in this certificate.

        Values are compared exactly, those of DNS without regard to case (RFC 5280 7.2).
        """
        own = {(kind, _folded(kind, value)) for kind, value in self.names}
        return all((kind, _folded(kind, value)) in own for kind, value in parse_names(expected))


def parse_names(text: str) -> tuple[tuple[str, str], ...]:
    """`CN=ct1.hospital.example, O=Hospital` as pairs of type and value; a comma in a value is written `\\,`.

    Raises
    ------
    ValueError
        A part is no pair, or its type is none of `ATTRIBUTES` and `ALTERNATIVES`.
    """
    found = []
    for part in _COMMA.split(text):
        kind, equals, value = part.strip().partition("=")
        long = ATTRIBUTES.get(kind.strip().upper()) or ALTERNATIVES.get(kind.strip().upper())
        if long is None or not equals or not value.strip():
            known = ", ".join([*ATTRIBUTES, *ALTERNATIVES])
            raise ValueError(f'write names such as "CN=ct1.hospital.example, O=Hospital"; known: {known}')
        found.append((long, value.strip().replace("\\,", ",")))
    return tuple(found)


def _folded(kind: str, value: str) -> str:
    return value.lower() if kind == "DNS" else value
