"""Puts into words how an association or a C-STORE with a peer ended."""

from __future__ import annotations

from enum import StrEnum

from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

#: (source, reason) of an A-ASSOCIATE-RJ (PS3.8 Table 9-21) and what an operator can do about it.
REJECTIONS: dict[tuple[int, int], str] = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognised: the peer has to be told our AE title and address",
    (1, 7): "called AE title not recognised: the peer has another AE title than configured here",
    (2, 1): "no reason given (ACSE)",
    (2, 2): "protocol version not supported",
    (3, 0): "reserved reason 0 (presentation service)",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded: the peer has too many associations",
    **{(1, reason): f"reserved reason {reason}" for reason in (4, 5, 6, 8, 9, 10)},
    **{(3, reason): f"reserved reason {reason} (presentation service)" for reason in (3, 4, 5, 6, 7)},
}

RESULTS = {1: "permanently", 2: "for now"}

#: Source of an A-ABORT and, from the service provider, its reason (PS3.8 Table 9-26).
ABORT_SOURCES = {0: "the peer's application", 1: "reserved source 1", 2: "the peer's network service"}
ABORT_REASONS = {
    0: "reason not specified",
    1: "unrecognised PDU",
    2: "unexpected PDU",
    3: "reserved reason 3",
    4: "unrecognised PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}

#: Result of a presentation context (PS3.8 Table 9-18).
CONTEXT_RESULTS = {
    0: "accepted",
    1: "rejected by the peer's application",
    2: "rejected, no reason given",
    3: "SOP class not supported",
    4: "transfer syntax not supported",
}


class Verdict(StrEnum):
    """What a C-STORE status means for the object."""

    STORED = "stored"
    BUSY = "busy"
    REFUSED = "refused"
    DUPLICATE = "duplicate"


#: "Duplicate SOP Instance" (PS3.7 C.5.7).
_DUPLICATE = 0x0111


def rejection_text(answer: A_ASSOCIATE) -> str:
    """An A-ASSOCIATE-RJ in words."""
    result, source, reason = answer.result, answer.result_source, answer.diagnostic
    how = RESULTS.get(result or 0, f"with unknown result {result}")
    why = REJECTIONS.get((source or 0, reason or 0), f"unknown source {source} and reason {reason}")
    return f"association rejected {how}: {why}"


def abort_text(source: int, reason: int) -> str:
    """An A-ABORT of the peer in words."""
    by = ABORT_SOURCES.get(source, f"unknown source {source}")
    why = f", {ABORT_REASONS.get(reason, f'unknown reason {reason}')}" if source == 2 else ""
    return f"association aborted by {by}{why}"


def verdict_of(status: int) -> Verdict:
    """Whether the peer has the object, will perhaps have it later, or never.

    Success and the warnings Bxxx mean stored (PS3.4 B.2.3). A7xx "out of resources", 0110
    "processing failure" and 0213 "resource limitation" pass. 0111 says that an object of this UID is there
    already; whether it is this one has to be asked. Everything else is an answer to the object itself, which the same
    bytes would get again.
    """
    if status == 0x0000 or status >> 12 == 0xB:
        return Verdict.STORED
    if status >> 8 == 0xA7 or status in (0x0110, 0x0213):
        return Verdict.BUSY
    if status == _DUPLICATE:
        return Verdict.DUPLICATE
    return Verdict.REFUSED


def status_text(status: int) -> str:
    """A C-STORE status as `A700 Refused: Out of Resources`."""
    category, meaning = STORAGE_SERVICE_CLASS_STATUS.get(status, ("", "status unknown to the standard"))
    return f"{status:04X} {meaning or category}"
