"""Storage commitment on the wire, with pynetdicom as the other side: statuses, roles, and which association."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association as Requestor
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode

from dicomnode.deliver import commitment
from dicomnode.deliver.association import Timeouts
from dicomnode.deliver.commitment import NotOffered
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
from dicomnode.domain.errors import DeliveryError, OutOfResources, PeerUnreachable
from dicomnode.domain.network import Association, Peer
from dicomnode.receive.admission import Admission
from dicomnode.receive.scp import Listener
from tests.integration.dimse.conftest import Recorder

PATIENCE_SECONDS = 20.0
PEERS = tuple(
    Peer(name=name, aet=name, host="127.0.0.1", port=104) for name in ("CT1", "PACS", "BOTH", "OTHER")
)  # fmt: skip


def references(count: int) -> tuple[Reference, ...]:
    return tuple(
        Reference(sop_class_uid=CTImageStorage, sop_instance_uid=f"1.2.3.{number}") for number in range(1, count + 1)
    )


@dataclass
class FakeDesk:
    """Takes requests of CT1 and reports of PACS."""

    requests: list[Request] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    known: set[str] = field(default_factory=lambda: {"1.9"})
    ready: Report | None = None
    answers: list[int | None] = field(default_factory=list)
    told_event: threading.Event = field(default_factory=threading.Event)
    refusal: Exception | None = None

    def roles(self, peer: str) -> tuple[bool, bool]:
        return peer in ("CT1", "BOTH"), peer in ("PACS", "BOTH")

    def asked(self, association: Association, request: Request) -> int:
        if self.refusal is not None:
            raise self.refusal
        self.requests.append(request)
        return len(self.requests)

    def answer(self, pledge_id: int) -> Report | None:
        return self.ready

    def told(self, pledge_id: int, status: int | None) -> None:
        self.answers.append(status)
        self.told_event.set()

    def reported(self, association: Association, report: Report) -> bool:
        if self.refusal is not None:
            raise self.refusal
        self.reports.append(report)
        return report.transaction_uid in self.known


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def listener(desk: FakeDesk, recorder: Recorder, incoming: Path) -> Iterator[Listener]:
    one = Listener(
        aets=["NODE"], host="127.0.0.1", port=0, intake=recorder, incoming=incoming, commitment=desk,
        admission=Admission(peers=PEERS, called_aets=frozenset({"NODE"}), accept_unknown=True),
    )  # fmt: skip
    one.start()
    yield one
    one.stop(0)


@pytest.fixture
def call(listener: Listener) -> Iterator[Callable[..., Requestor]]:
    """Opens an association for storage commitment as one of the peers."""
    open_ones: list[Requestor] = []

    def one(calling: str, *, scp: bool = False, handlers: Any = ()) -> Requestor:
        ae = AE(ae_title=calling)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE_SECONDS
        contexts = [build_context(PUSH_MODEL, ExplicitVRLittleEndian), build_context("1.2.840.10008.1.1")]
        roles: list[Any] = [build_role(PUSH_MODEL, scu_role=False, scp_role=True)] if scp else []
        association = ae.associate(
            "127.0.0.1", listener.port, contexts=contexts, ae_title="NODE", ext_neg=roles, evt_handlers=list(handlers)
        )
        assert association.is_established
        open_ones.append(association)
        return association

    yield one
    for association in open_ones:
        if association.is_established:
            association.release()


def act(association: Requestor, ds: Dataset, *, action: int = 1, instance: str = PUSH_MODEL_INSTANCE) -> int | None:
    status, _ = association.send_n_action(ds, action, PUSH_MODEL, instance)
    return int(status.Status) if "Status" in status else None


def accepts(association: Requestor) -> bool:
    return any(context.abstract_syntax == PUSH_MODEL for context in association.accepted_contexts)


def test_only_peers_whose_entries_say_so_are_offered_storage_commitment(call: Callable[..., Requestor]) -> None:
    assert [accepts(call(name)) for name in ("CT1", "PACS", "BOTH", "OTHER", "STRANGER")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    # An archive reports as SCP of an association that it opens, a modality has no business doing so.
    assert [accepts(call(name, scp=True)) for name in ("CT1", "PACS", "BOTH")] == [False, True, True]


def test_a_request_reaches_the_desk_whole_even_with_thousands_of_objects(
    call: Callable[..., Requestor], desk: FakeDesk
) -> None:
    request = Request(transaction_uid="1.2", references=references(5000))
    assert act(call("CT1"), request_dataset(request)) == 0x0000
    assert desk.requests == [request]


@pytest.mark.parametrize(
    ("changes", "more", "status"),
    [
        ({}, {"action": 2}, 0x0123),
        ({}, {"instance": "1.2.3"}, 0x0112),
        ({"TransactionUID": None}, {}, 0x0115),
        ({"ReferencedSOPSequence": []}, {}, 0x0115),
        ({"ReferencedSOPSequence": [Dataset()]}, {}, 0x0115),
    ],
    ids=["action", "instance", "transaction", "no objects", "no names"],
)
def test_a_request_that_is_none_is_refused_and_leaves_the_association_open(
    call: Callable[..., Requestor], desk: FakeDesk, changes: dict[str, Any], more: dict[str, Any], status: int
) -> None:
    association = call("CT1")
    ds = request_dataset(Request(transaction_uid="1.2", references=references(1)))
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    assert act(association, ds, **more) == status
    assert desk.requests == []
    assert association.send_c_echo().Status == 0x0000


def test_a_full_disk_and_a_fault_of_ours_are_answered_as_such(call: Callable[..., Requestor], desk: FakeDesk) -> None:
    association = call("CT1")
    ds = request_dataset(Request(transaction_uid="1.2", references=references(1)))
    desk.refusal = OutOfResources("disk full")
    assert act(association, ds) == 0x0213
    desk.refusal = ZeroDivisionError()
    assert act(association, ds) == 0x0110


def test_a_peer_that_may_only_report_may_not_ask(call: Callable[..., Requestor], desk: FakeDesk) -> None:
    ds = request_dataset(Request(transaction_uid="1.2", references=references(1)))
    assert act(call("PACS"), ds) == 0x0124
    assert desk.requests == []


def test_a_quick_answer_is_reported_on_the_association_of_the_request(
    call: Callable[..., Requestor], desk: FakeDesk
) -> None:
    heard: list[Report] = []
    come = threading.Event()

    def on_report(event: evt.Event) -> tuple[int, None]:
        heard.append(read_report(event.event_information))
        come.set()
        return 0x0000, None

    association = call("CT1", handlers=[(evt.EVT_N_EVENT_REPORT, on_report)])
    one, two = references(2)
    desk.ready = Report(transaction_uid="1.2", kept=(one,), failed={two: 0x0112})
    assert act(association, request_dataset(Request(transaction_uid="1.2", references=(one, two)))) == 0x0000
    assert come.wait(PATIENCE_SECONDS) and desk.told_event.wait(PATIENCE_SECONDS)
    assert heard == [desk.ready] and desk.answers == [0x0000]
    assert association.send_c_echo().Status == 0x0000


def test_who_asks_for_something_else_or_leaves_is_not_kept_waiting(
    call: Callable[..., Requestor], desk: FakeDesk
) -> None:
    association = call("CT1")
    ds = request_dataset(Request(transaction_uid="1.2", references=references(1)))
    assert act(association, ds) == 0x0000
    assert association.send_c_echo().Status == 0x0000
    assert desk.told_event.wait(PATIENCE_SECONDS) and desk.answers == [None]
    desk.told_event.clear()
    assert act(association, ds) == 0x0000
    association.release()
    assert association.is_released
    assert desk.told_event.wait(PATIENCE_SECONDS) and desk.answers == [None, None]


@pytest.mark.parametrize("scp", [True, False], ids=["as SCP", "without roles"])
def test_the_report_of_an_archive_is_taken_and_one_of_an_unknown_transaction_refused(
    call: Callable[..., Requestor], desk: FakeDesk, scp: bool
) -> None:
    association = call("PACS", scp=scp)
    for context in association.accepted_contexts:
        context._as_scp = True  # archives that negotiate no role report all the same
    answers = []
    for uid in ("1.9", "1.9", "1.8"):
        report = Report(transaction_uid=uid, kept=references(2))
        status, _ = association.send_n_event_report(report_dataset(report), 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        answers.append(status.Status)
    assert answers == [0x0000, 0x0000, 0x0115]
    status, _ = association.send_n_event_report(report_dataset(report), 3, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    assert status.Status == 0x0113
    desk.refusal = OutOfResources("disk full")
    status, _ = association.send_n_event_report(report_dataset(report), 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    assert status.Status == 0x0213


# ---- associations that the node opens


@pytest.fixture
def archive() -> Iterator[Callable[..., Peer]]:
    """Starts a pynetdicom SCP of storage commitment with these handlers; where it listens."""
    servers: list[Any] = []

    def start(handlers: Any, *, context: Any = PUSH_MODEL, **roles: Any) -> Peer:
        ae = AE(ae_title="PACS")
        ae.add_supported_context(context, **roles)
        server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        servers.append(server)
        return Peer(name="PACS", aet="PACS", host="127.0.0.1", port=server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()


REQUEST = Request(transaction_uid="1.2.9", references=references(2))


def ask(peer: Peer, timeouts: Timeouts, keep: Callable[[Report], bool] = lambda _report: True) -> None:
    commitment.request(peer, REQUEST, calling_aet="NODE", timeouts=timeouts, keep=keep, reported=lambda: False)


def test_a_report_on_the_association_of_our_request_is_kept_and_answered(
    archive: Callable[..., Peer], timeouts: Timeouts
) -> None:
    asked: list[Request] = []
    answered: list[int] = []
    done = threading.Event()
    report = Report(transaction_uid="1.2.9", kept=REQUEST.references)

    def on_action(event: evt.Event) -> tuple[int, None]:
        asked.append(read_request(event.action_information))

        def tell() -> None:
            status, _ = event.assoc.send_n_event_report(report_dataset(report), 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
            answered.append(status.get("Status"))
            done.set()

        threading.Timer(0.2, tell).start()
        return 0x0000, None

    kept: list[Report] = []

    def keep(one: Report) -> bool:
        kept.append(one)
        return True

    ask(archive([(evt.EVT_N_ACTION, on_action)]), timeouts, keep)
    assert done.wait(PATIENCE_SECONDS)
    assert asked == [REQUEST] and kept == [report] and answered == [0x0000]


@pytest.mark.parametrize("in_one_pdu", [False, True])
def test_an_archive_whose_report_has_no_end_is_hung_up_on(
    archive: Callable[..., Peer], timeouts: Timeouts, monkeypatch: pytest.MonkeyPatch, in_one_pdu: bool
) -> None:
    """A PDU too long is not read at all; of a message in many, no more than the limit is kept."""
    monkeypatch.setattr(commitment, "LONGEST_ANSWER_BYTES", 100_000)
    report = Report(transaction_uid="1.2.9", kept=references(2_000))

    def on_action(event: evt.Event) -> tuple[int, None]:
        # Before the answer to the request; no more of it is needed.
        long = N_EVENT_REPORT()
        long.MessageID, long.EventTypeID = 1, 1
        long.AffectedSOPClassUID, long.AffectedSOPInstanceUID = PUSH_MODEL, PUSH_MODEL_INSTANCE
        syntax = UID(event.context.transfer_syntax)
        long.EventInformation = BytesIO(encode(report_dataset(report), syntax.is_implicit_VR, True) or b"")
        event.assoc.dimse.send_msg(long, event.context.context_id)
        return 0x0000, None

    if not in_one_pdu:
        monkeypatch.setattr(DIMSEServiceProvider, "maximum_pdu_size", 16_382)
    with pytest.raises(PeerUnreachable, match="PACS" if in_one_pdu else "more than 100000 bytes, and was hung up on"):
        ask(archive([(evt.EVT_N_ACTION, on_action)]), timeouts)


def test_a_refused_request_says_why(archive: Callable[..., Peer], timeouts: Timeouts) -> None:
    peer = archive([(evt.EVT_N_ACTION, lambda _event: (0x0213, None))])
    with pytest.raises(DeliveryError, match="refuses storage commitment with 0213 resource limitation"):
        ask(peer, timeouts)


def test_a_peer_without_storage_commitment_is_told_apart(archive: Callable[..., Peer], timeouts: Timeouts) -> None:
    peer = archive([], context="1.2.840.10008.1.1")
    with pytest.raises(DeliveryError, match="accepts no storage commitment"):
        ask(peer, timeouts)
    assert commitment.offers(archive([]), calling_aet="NODE", timeouts=timeouts) == (True, False)


def test_an_archive_that_vanishes_at_the_request_may_be_asked_again(
    archive: Callable[..., Peer], timeouts: Timeouts
) -> None:
    def vanish(event: evt.Event) -> tuple[int, None]:
        event.assoc.abort()
        return 0x0000, None

    with pytest.raises(PeerUnreachable):
        ask(archive([(evt.EVT_N_ACTION, vanish)]), timeouts)


def test_a_report_of_ours_goes_out_as_scp_under_the_title_that_was_called(
    archive: Callable[..., Peer], timeouts: Timeouts
) -> None:
    heard: list[tuple[str, Report]] = []

    def on_report(event: evt.Event) -> tuple[int, None]:
        assert isinstance(event.request, N_EVENT_REPORT)
        heard.append((event.assoc.requestor.ae_title, read_report(event.event_information)))
        return 0x0000, None

    peer = archive([(evt.EVT_N_EVENT_REPORT, on_report)], scu_role=False, scp_role=True)
    one, two = references(2)
    report = Report(transaction_uid="1.2", kept=(one,), failed={two: 0x0119})
    assert commitment.tell(peer, report, calling_aet="NODE_NOW", timeouts=timeouts) == 0x0000
    assert heard == [("NODE_NOW", report)]


def test_a_modality_that_lets_nobody_be_scp_is_not_told(archive: Callable[..., Peer], timeouts: Timeouts) -> None:
    report = Report(transaction_uid="1.2", kept=references(1))
    with pytest.raises(NotOffered, match="not this node in the role of SCP"):
        commitment.tell(archive([]), report, calling_aet="NODE", timeouts=timeouts)
