"""What each feature adds to the score of a signature, as rows of the report."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Findings, Measurement
from dicomnode.domain.signature import Contribution

_SCHEME = "99DICOMNODE"

#: Code Meaning holds 64 characters (PS3.3 section 8.3).
_LONGEST = 64

_NO_UNITS = Code(value="1", scheme="UCUM", meaning="no units")
_EXACT = Code(value="CONTRIB-LINEAR", scheme=_SCHEME, meaning="Coefficient times standardised value")
_DIFFERENCE = Code(value="CONTRIB-CHANGE", scheme=_SCHEME, meaning="Change of the score against the reference value")


def contribution_rows(findings: Findings) -> Iterator[Measurement]:
    """One number about the whole series (segment 0) for every feature, the largest amount first.

    Rows are told apart by the CRC-32 of the feature's name in their code, so that the same feature has the same code in
    every report.
    """
    unit = _unit(findings)
    for one in sorted(findings.contributions, key=lambda each: -abs(each.amount)):
        yield Measurement(
            segment_number=0,
            name=_name(one),
            value=one.amount,
            unit=unit,
            method=_EXACT if one.exact else _DIFFERENCE,
        )


def _unit(findings: Findings) -> Code:
    """The unit of the score, which stands first among the numbers about the whole series."""
    return next((row.unit for row in findings.measurements if row.segment_number == 0), _NO_UNITS)


def _name(one: Contribution) -> Code:
    kind = "Contribution of imputed " if one.imputed else "Contribution of "
    whole = kind + one.feature
    # Names of filtered images are long, and their end tells most of them apart.
    meaning = whole if len(whole) <= _LONGEST else f"{kind}…{one.feature[-(_LONGEST - len(kind) - 1) :]}"
    return Code(value=f"CONTR-{crc32(one.feature.encode()):08X}", scheme=_SCHEME, meaning=meaning)
