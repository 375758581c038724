"""Deliveries as the audit trail sees them: what was to be sent, what was, and what was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace

from pydicom import dcmread

from dicomnode.audit.event import Participant
from dicomnode.audit.file import Trail
from dicomnode.audit.message import Studied, begin_transfer, other_node, transferred
from dicomnode.domain.errors import DeliveryError, NoAssociation, OutOfResources
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.outbox import Send
from dicomnode.infer.read.faults import READ_FAULTS

_NOT_SENT = "not sent after one that failed"


def audited(send: Send, trail: Trail, here: Participant) -> Send:
    """`send`, recorded in `trail`; where the trail is required and cannot be written, nothing is sent.

    What a peer has answered is told before anybody can act upon it, so that no kill comes between an object that counts
    as delivered and its message.
    """

    def send_and_tell(peer: Peer, batch: Sequence[Delivery]) -> Generator[Receipt]:
        there, studies = other_node(peer.aet, peer.host), _studies(peer, batch)

        def tell(sent: Sequence[Delivery], failure: str) -> None:
            # It has happened whether it can be recorded or not; the trail complains by itself.
            with suppress(OutOfResources):
                trail.record(
                    *(transferred(here, there, one, created=False, failure=failure) for one in _told_of(studies, sent))
                )

        try:
            trail.record(*(begin_transfer(here, there, study) for study in _told_of(studies, batch)))
        except OutOfResources as error:
            raise NoAssociation(f"{peer.name}: nothing is sent, {error}") from error
        left, failure = {one.sop_instance_uid: one for one in batch}, _NOT_SENT
        try:
            with closing(send(peer, batch)) as receipts:
                for receipt in receipts:
                    tell([left.pop(receipt.sop_instance_uid)], "" if receipt.stored else receipt.words)
                    yield receipt
        except DeliveryError as error:
            failure = str(error)
            raise
        finally:
            tell(list(left.values()), failure)

    return send_and_tell


def _told_of(studies: Mapping[str, Studied], batch: Sequence[Delivery]) -> list[Studied]:
    """The studies of these objects, each with how many of them it has."""
    classes: dict[str, Counter[str]] = {}
    for one in batch:
        classes.setdefault(one.study_instance_uid, Counter())[one.sop_class_uid] += 1
    return [replace(studies[uid], sop_classes=dict(counts)) for uid, counts in classes.items()]


def _studies(peer: Peer, batch: Sequence[Delivery]) -> dict[str, Studied]:
    found: dict[str, Studied] = {}
    for one in batch:
        if one.study_instance_uid not in found:
            patient_id, accession_number = _identity(one)
            found[one.study_instance_uid] = Studied(
                study_instance_uid=one.study_instance_uid, patient_id=patient_id, accession_number=accession_number,
                anonymized=peer.deidentify is not None,
            )  # fmt: skip
    return found


def _identity(delivery: Delivery) -> tuple[str, str]:
    try:
        header = dcmread(delivery.path, stop_before_pixels=True, specific_tags=["PatientID", "AccessionNumber"])
    except READ_FAULTS:
        return "", ""
    return str(header.get("PatientID") or ""), str(header.get("AccessionNumber") or "")
