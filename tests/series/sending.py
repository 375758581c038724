"""Sends data sets of any SOP class to a node over one association."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from dicomnode.deliver.association import leave_answers
from tests.acceptance.waiting import PATIENCE_SECONDS


def send(datasets: Sequence[Dataset], port: int, *, calling: str = "ORTHANC", called: str = "DICOMNODE") -> set[int]:
    """The statuses that a node answered with."""
    ae = AE(ae_title=calling)
    for sop_class_uid in sorted({str(ds.SOPClassUID) for ds in datasets}):
        ae.add_requested_context(sop_class_uid, ExplicitVRLittleEndian)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE_SECONDS
    association = ae.associate("127.0.0.1", port, ae_title=called)
    leave_answers(association)
    assert association.is_established
    leave_answers(association)
    assert association.dul.socket is not None
    assert association.dul.socket.socket is not None
    # Otherwise every message waits 40 ms for an acknowledgement on loopback.
    association.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    statuses = {int(association.send_c_store(ds).Status) for ds in datasets}
    association.release()
    return statuses
