"""Every error that this node raises on purpose, as one family.

DicomNodeError
├── ConfigError             raised before anything starts; carries every fault at once
├── Refused                 an arriving object is not taken → DIMSE failure, nothing kept
│   ├── OutOfResources      A700
│   ├── SOPClassMismatch    A900
│   ├── CannotUnderstand    C000
│   └── NotAuthorised       0124
├── Unsuitable              permanent: this series cannot feed this model → told to the reader
├── ModelError              the bundle or the runtime is at fault
├── Outdated                rule or model changed since a job was made: the study is to be settled anew
├── EncodingError           a valid result object could not be built
├── LeaseLost               another worker owns this job now, or it was cancelled: nothing may be committed
└── DeliveryError           a result could not be handed over
    └── PeerUnreachable     no connection or no association: try again, does not count as an attempt
        └── NoAssociation   nothing can have been sent
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicomnode.domain.finding import Check


class DicomNodeError(Exception):
    """Base of the family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a configuration: where, what was found, what to do."""

    key: str
    value: object
    remedy: str

    def __str__(self) -> str:
        return f"{self.key} = {self.value!r}: {self.remedy}"


class ConfigError(DicomNodeError):
    """The configuration or a bundle's description cannot be used.

    Parameters
    ----------
    faults
        Every fault found, so that one edit mends them all.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class Refused(DicomNodeError):
    """An arriving object is not taken; `status` is the DIMSE status of the answer (PS3.4 Table B.2-1)."""

    status = 0xC000


class OutOfResources(Refused):
    """The disk is full or a limit is reached; the sender may try again."""

    status = 0xA700


class SOPClassMismatch(Refused):
    """The data set contradicts the command set or what was negotiated."""

    status = 0xA900


class CannotUnderstand(Refused):
    """The data set cannot be read or lacks what identifies it."""

    status = 0xC000


class NotAuthorised(Refused):
    """This peer may associate but not store (PS3.7 Annex C.5.17)."""

    status = 0x0124


class Unsuitable(DicomNodeError):
    """This series cannot feed this model, and no retry will change that.

    Parameters
    ----------
    checks
        What the quality gate looked at before it refused, passed and failed alike; for the report.
    """

    def __init__(self, *message: object, checks: Sequence[Check] = ()) -> None:
        super().__init__(*message)
        self.checks = tuple(checks)


class ModelError(DicomNodeError):
    """The bundle or the inference runtime is at fault."""


class Outdated(DicomNodeError):
    """Rule or model changed since this job was made; its UIDs would no longer say how the result came about."""


class EncodingError(DicomNodeError):
    """A valid result object could not be built from the findings."""


class LeaseLost(DicomNodeError):
    """The claim on a job or delivery is gone; whoever holds it now decides."""


class DeliveryError(DicomNodeError):
    """A result could not be handed over."""


class PeerUnreachable(DeliveryError):
    """No connection, or the association was rejected or aborted; says nothing about the object."""


class NoAssociation(PeerUnreachable):
    """There was no association in the first place, so that the peer has nothing of what it was to get."""
