"""Deliveries without their patient, for peers that may not know him."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from pydicom.errors import InvalidDicomError

from dicomnode.config import Settings
from dicomnode.deident.pseudonym import Pseudonyms
from dicomnode.deident.secret import read_secret
from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.network import Peer
from dicomnode.domain.privacy import Keep
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.export import without_patient, write
from dicomnode.flow.outbox import Send


def deidentifying(send: Send, settings: Settings) -> Send:
    """`send`, but a peer with `deidentify` in its entry gets every object without its patient.

    The new UIDs depend on the secret and the old ones alone, so that an object that is sent again is the same object.

    Raises
    ------
    ConfigError
        If a peer asks for it and there is no usable secret.
    """
    if all(peer.deidentify is None for peer in settings.peers):
        return send
    names = Pseudonyms(secret=read_secret(settings.deidentify.secret_file))

    def send_without(peer: Peer, batch: Sequence[Delivery]) -> Generator[Receipt]:
        if peer.deidentify is None:
            yield from send(peer, batch)
            return
        keep = frozenset(peer.deidentify)
        with tempfile.TemporaryDirectory(dir=settings.store.folder, prefix=".deidentified-") as scratch:
            for delivery in batch:
                # One at a time: whoever refuses the first has no use for the rest, and the disk holds one more object.
                yield from _send_one(send, peer, delivery, Path(scratch), names, keep)

    return send_without


def _send_one(
    send: Send, peer: Peer, delivery: Delivery, scratch: Path, names: Pseudonyms, keep: frozenset[Keep]
) -> Iterator[Receipt]:
    uid = delivery.sop_instance_uid
    try:
        done = without_patient(delivery.path, names, keep)
    except (Unsuitable, InvalidDicomError) as error:
        yield Receipt(sop_instance_uid=uid, status=None, stored=False, final=True, text=str(error))
        return
    path = scratch / "instance.dcm"
    write(done, path)
    instead = replace(delivery, sop_instance_uid=str(done.dataset.SOPInstanceUID), path=path)
    with closing(send(peer, [instead])) as answers:
        for receipt in answers:
            yield replace(receipt, sop_instance_uid=uid)
