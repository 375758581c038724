"""Deliveries as the audit trail sees them: what was to be sent, what was, and what was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing, suppress

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
    """`send`, recorded in `trail`; where the trail is required and cannot be written, nothing is sent."""

    def send_and_tell(peer: Peer, batch: Sequence[Delivery]) -> Generator[Receipt]:
        there = other_node(peer.aet, peer.host)
        try:
            trail.record(*(begin_transfer(here, there, study) for study in _studies(peer, batch)))
        except OutOfResources as error:
            raise NoAssociation(f"{peer.name}: nothing is sent, {error}") from error
        told: dict[str, str] = {}
        failure = _NOT_SENT
        try:
            with closing(send(peer, batch)) as receipts:
                for receipt in receipts:
                    told[receipt.sop_instance_uid] = "" if receipt.stored else receipt.text
                    yield receipt
        except DeliveryError as error:
            failure = str(error)
            raise
        finally:
            # It has happened whether it can be recorded or not; the trail complains by itself.
            with suppress(OutOfResources):
                _tell(trail, here, peer, batch, told, failure)

    return send_and_tell


def _tell(
    trail: Trail, here: Participant, peer: Peer, batch: Sequence[Delivery], told: dict[str, str], failure: str
) -> None:
    """One message of what is there now, and one for each reason why something is not."""
    there = other_node(peer.aet, peer.host)
    by_outcome: dict[str, list[Delivery]] = {}
    for delivery in batch:
        by_outcome.setdefault(told.get(delivery.sop_instance_uid, failure), []).append(delivery)
    events = [
        transferred(here, there, study, created=False, failure=reason)
        for reason, deliveries in by_outcome.items()
        for study in _studies(peer, deliveries)
    ]
    trail.record(*events)


def _studies(peer: Peer, batch: Sequence[Delivery]) -> list[Studied]:
    found = []
    for uid in dict.fromkeys(delivery.study_instance_uid for delivery in batch):
        deliveries = [delivery for delivery in batch if delivery.study_instance_uid == uid]
        patient_id, accession_number = _identity(deliveries[0])
        found.append(
            Studied(
                study_instance_uid=uid,
                patient_id=patient_id,
                accession_number=accession_number,
                sop_classes=dict(Counter(delivery.sop_class_uid for delivery in deliveries)),
                anonymized=peer.deidentify is not None,
            )
        )
    return found


def _identity(delivery: Delivery) -> tuple[str, str]:
    try:
        header = dcmread(delivery.path, stop_before_pixels=True, specific_tags=["PatientID", "AccessionNumber"])
    except READ_FAULTS:
        return "", ""
    return str(header.get("PatientID") or ""), str(header.get("AccessionNumber") or "")
