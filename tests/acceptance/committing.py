"""Peers of storage commitment inside the test: an archive that commits when told to, and a scanner that asks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, build_context, build_role, evt

from dicomnode.domain.commitment import (
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    Reference,
    Report,
    Request,
    read_report,
    read_request,
    report_dataset,
    request_dataset,
)
from tests.acceptance.peers import CountingPacs
from tests.acceptance.waiting import PATIENCE_SECONDS, eventually, free_port


class CommittingPacs(CountingPacs):
    """Commits to what it was asked for when `report` is called, over an association of its own, and says it once."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []

    def start(self) -> None:
        """Begin to listen."""
        super().start()
        ae = self._server.ae
        ae.add_supported_context(PUSH_MODEL)
        self._server.contexts = [*self._server.contexts, build_context(PUSH_MODEL)]
        self._server.bind(evt.EVT_N_ACTION, self._asked)

    def report(self, node_port: int, *requests: Request) -> list[int | None]:
        """Tell the node that everything is kept; the status of each answer."""
        answers = []
        for request in requests:
            report = Report(transaction_uid=request.transaction_uid, kept=request.references)
            answers.append(tell(node_port, self.aet, report))
        return answers

    def _asked(self, event: evt.Event) -> tuple[int, None]:
        self.requests.append(read_request(event.action_information))
        return 0x0000, None


class Scanner:
    """Asks the node to commit, and remembers every report on that."""

    aet = "SCANNER"

    def __init__(self) -> None:
        self.port = free_port()
        self.reports: list[Report] = []
        self._lock = threading.Lock()
        self._server: Any = None

    def start(self) -> Scanner:
        """Begin to listen for reports."""
        ae = AE(ae_title=self.aet)
        ae.add_supported_context(PUSH_MODEL, scu_role=False, scp_role=True)
        handlers: list[evt.EventHandlerType] = [(evt.EVT_N_EVENT_REPORT, self._told)]
        self._server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        return self

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()

    def ask(self, node_port: int, request: Request) -> None:
        """Ask until the request is accepted, and leave at once."""
        eventually(lambda: self._ask(node_port, request) == 0x0000, what="the request to be accepted")

    def _ask(self, node_port: int, request: Request) -> int | None:
        association = _associate(node_port, self.aet)
        if not association.is_established:
            return None
        try:
            status, _ = association.send_n_action(request_dataset(request), 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        except RuntimeError:  # pynetdicom: there is no association any more
            return None
        _leave(association)
        return _status(status)

    def _told(self, event: evt.Event) -> tuple[int, None]:
        with self._lock:
            self.reports.append(read_report(event.event_information))
        return 0x0000, None


def tell(node_port: int, aet: str, report: Report) -> int | None:
    """Report to the node as an archive of this title; the status of the answer, None where there was none."""
    association = _associate(node_port, aet, scp=True)
    if not association.is_established:
        return None
    try:
        status, _ = association.send_n_event_report(
            report_dataset(report), report.event_type, PUSH_MODEL, PUSH_MODEL_INSTANCE
        )
    except RuntimeError:  # pynetdicom: there is no association any more
        return None
    _leave(association)
    return _status(status)


def request_for(files: Sequence[Dataset], transaction_uid: str) -> Request:
    """The request that these objects be kept."""
    references = tuple(
        Reference(sop_class_uid=str(ds.SOPClassUID), sop_instance_uid=str(ds.SOPInstanceUID)) for ds in files
    )
    return Request(transaction_uid=transaction_uid, references=references)


def _associate(node_port: int, aet: str, *, scp: bool = False) -> Any:
    ae = AE(ae_title=aet)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE_SECONDS
    roles: list[Any] = [build_role(PUSH_MODEL, scu_role=False, scp_role=True)] if scp else []
    return ae.associate("127.0.0.1", node_port, [build_context(PUSH_MODEL)], "DICOMNODE", ext_neg=roles)


def _leave(association: Any) -> None:
    if association.is_established:
        association.release()


def _status(status: Dataset) -> int | None:
    return int(status.Status) if "Status" in status else None
