"""Storage commitment: what one side asks the other to keep, and what the other says to it (PS3.4 Annex J)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from pydicom import Dataset
from pydicom.uid import UID

#: The SOP class, and its one instance, which both sides know (PS3.4 J.3.5).
PUSH_MODEL = UID("1.2.840.10008.1.20.1")
PUSH_MODEL_INSTANCE = UID("1.2.840.10008.1.20.1.1")

#: Action Type ID of a request (PS3.4 Table J.3-1).
REQUEST = 1

#: Event Type ID of a report in which everything is kept, and of one with failures (PS3.4 Table J.3-2).
ALL_KEPT, SOME_FAILED = 1, 2

_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
_LONGEST_UID = 64


class Failure(IntEnum):
    """Why an object is not committed: Failure Reason (PS3.4 J.3.3.1.1, PS3.3 C.14)."""

    PROCESSING = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CONFLICT = 0x0119
    CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION = 0x0131
    RESOURCES = 0x0213


#: What may be otherwise when asked again.
PASSING = frozenset({Failure.PROCESSING, Failure.RESOURCES, Failure.DUPLICATE_TRANSACTION})

_WORDS = {
    Failure.PROCESSING: "processing failure",
    Failure.NO_SUCH_INSTANCE: "no such object",
    Failure.CONFLICT: "another SOP class than asked for",
    Failure.CLASS_NOT_SUPPORTED: "SOP class not supported",
    Failure.DUPLICATE_TRANSACTION: "duplicate transaction UID",
    Failure.RESOURCES: "resource limitation",
}


def reason_text(reason: int) -> str:
    """A Failure Reason as `0112 no such object`."""
    return f"{reason:04X} {_WORDS.get(Failure(reason), '') if reason in list(Failure) else 'unknown reason'}"


class Malformed(ValueError):
    """A data set that is no request or report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One object, named as its keeper knows it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The wish that objects be kept."""

    transaction_uid: str
    references: tuple[Reference, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of the wish: objects that are kept, and the Failure Reason of each that is not."""

    transaction_uid: str
    kept: tuple[Reference, ...] = field(default=(), repr=False)
    failed: Mapping[Reference, int] = field(default_factory=dict, repr=False)

    @property
    def event_type(self) -> int:
        """Event Type ID of the N-EVENT-REPORT that tells it."""
        return SOME_FAILED if self.failed else ALL_KEPT


def new_transaction_uid() -> str:
    """A UID under 2.25 (PS3.5 B.2) that nobody had before."""
    return f"2.25.{uuid.uuid4().int}"


def request_dataset(request: Request) -> Dataset:
    """Action Information (PS3.4 Table J.3-1)."""
    ds = Dataset()
    ds.TransactionUID = request.transaction_uid
    ds.ReferencedSOPSequence = [_item(one) for one in request.references]
    return ds


def report_dataset(report: Report) -> Dataset:
    """Event Information (PS3.4 Table J.3-2)."""
    ds = Dataset()
    ds.TransactionUID = report.transaction_uid
    if report.kept:
        ds.ReferencedSOPSequence = [_item(one) for one in report.kept]
    if report.failed:
        ds.FailedSOPSequence = [_item(one, reason) for one, reason in report.failed.items()]
    return ds


def read_request(ds: Dataset) -> Request:
    """The request in Action Information.

    Raises
    ------
    Malformed
        Transaction UID or references are missing or no UIDs.
    """
    references = tuple(_references(ds, "ReferencedSOPSequence"))
    if not references:
        raise Malformed("ReferencedSOPSequence is missing or empty, needed one item for each object")
    return Request(transaction_uid=_uid(ds, "TransactionUID"), references=references)


def read_report(ds: Dataset) -> Report:
    """The report in Event Information; what stands in both lists counts as failed.

    Raises
    ------
    Malformed
        As `read_request`.
    """
    failed: dict[Reference, int] = {}
    for item, reference in zip(ds.get("FailedSOPSequence") or (), _references(ds, "FailedSOPSequence"), strict=True):
        reason = item.get("FailureReason")
        failed[reference] = reason if isinstance(reason, int) and reason else int(Failure.PROCESSING)
    kept = tuple(one for one in _references(ds, "ReferencedSOPSequence") if one not in failed)
    return Report(transaction_uid=_uid(ds, "TransactionUID"), kept=kept, failed=failed)


def _item(reference: Reference, reason: int = 0) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    if reason:
        item.FailureReason = reason
    return item


def _references(ds: Dataset, keyword: str) -> Iterable[Reference]:
    for item in ds.get(keyword) or ():
        yield Reference(
            sop_class_uid=_uid(item, "ReferencedSOPClassUID"), sop_instance_uid=_uid(item, "ReferencedSOPInstanceUID")
        )


def _uid(ds: Dataset, keyword: str) -> str:
    text = str(ds.get(keyword) or "").strip(" \0")
    if len(text) > _LONGEST_UID or not _UID.fullmatch(text):
        raise Malformed(f"{keyword} is missing or no UID")
    return text
