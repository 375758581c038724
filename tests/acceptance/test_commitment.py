"""Storage commitment through SIGKILL, in both roles: what was asked is answered, and what was said counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydicom import dcmread

from dicomnode.flow.failpoint import COMMITMENT_NAMES, PLEDGE_NAMES, VARIABLE
from tests.acceptance.committing import CommittingPacs, Scanner, request_for
from tests.acceptance.conftest import MakeNode
from tests.acceptance.peers import SEG, SR, send
from tests.acceptance.phantom import Ct
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import eventually

#: The listener may die between the question whether it is there and pynetdicom's connection, whose socket then leaks.
pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]


@pytest.fixture
def archive() -> Iterator[CommittingPacs]:
    """An archive that commits when told to."""
    one = CommittingPacs()
    one.start()
    yield one
    one.stop()


@pytest.fixture
def scanner() -> Iterator[Scanner]:
    """A scanner that asks for commitment."""
    one = Scanner().start()
    yield one
    one.stop()


def confirmed(node: Node) -> bool:
    rows = node.rows("SELECT state, confirmed_by FROM delivery")
    return len(rows) == 2 and set(rows) == {("done", "commitment")}


@pytest.fixture
def asking(make_node: MakeNode, archive: CommittingPacs) -> Node:
    """A node that asks the archive about what it has delivered, and again after two seconds without a report."""
    return make_node(
        peers=[peer("PACS", archive.aet, archive.port, commitment=True)], commitment={"report_timeout_seconds": 2}
    )


@pytest.mark.parametrize("name", COMMITMENT_NAMES)
def test_a_kill_while_an_archive_is_asked_leaves_every_result_delivered_once_and_confirmed(
    asking: Node, archive: CommittingPacs, ct: Ct, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    marker = tmp_path_factory.mktemp("marker") / "killed"
    asking.start({VARIABLE: f"{name}={marker}"})
    assert set(send(ct.files, asking.port).values()) == {0}

    said: set[str] = set()

    def answered() -> bool:
        for request in list(archive.requests):
            if request.transaction_uid not in said:
                said.add(request.transaction_uid)
                archive.report(asking.port, request)  # once, as the worst archive does, whatever the answer
        return confirmed(asking)

    eventually(answered, what="every delivery confirmed")
    eventually(lambda: asking.text().count("process died") == 1, what="the death")
    assert marker.exists() and confirmed(asking)
    assert sorted(offer.sop_class_uid for offer in archive.offers) == [SEG, SR]


def test_a_kill_of_everything_between_our_request_and_the_report_loses_neither(
    asking: Node, archive: CommittingPacs, ct: Ct
) -> None:
    asking.start()
    assert set(send(ct.files, asking.port).values()) == {0}
    eventually(lambda: archive.requests, what="a request")

    asking.kill()
    assert archive.report(asking.port, archive.requests[0]) == [None]
    asking.start()

    eventually(lambda: archive.report(asking.port, archive.requests[0]) == [0x0000], what="the report to be taken")
    assert confirmed(asking)
    assert archive.report(asking.port, archive.requests[0]) == [0x0000], "it may come twice"
    stranger = request_for([dcmread(ct.files[0])], "1.2.3")
    assert archive.report(asking.port, stranger) == [0x0115]


@pytest.fixture
def pledging(make_node: MakeNode, archive: CommittingPacs, scanner: Scanner) -> Node:
    """A node that commits to what the archive has committed to."""
    return make_node(
        peers=[
            peer("PACS", archive.aet, archive.port, commitment=True),
            peer("CT1", scanner.aet, scanner.port, role="modality", committed_by=["PACS"]),
        ],
        rules="",
        commitment={"report_timeout_seconds": 2},
    )


@pytest.mark.parametrize("name", PLEDGE_NAMES)
def test_a_kill_while_a_scanner_asks_leaves_it_with_a_report_that_is_true(
    pledging: Node,
    archive: CommittingPacs,
    scanner: Scanner,
    ct: Ct,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
) -> None:
    marker = tmp_path_factory.mktemp("marker") / "killed"
    pledging.start({VARIABLE: f"{name}={marker}"})
    assert set(send(ct.files, pledging.port, calling=scanner.aet).values()) == {0}
    request = request_for([dcmread(path) for path in ct.files], "1.2.826.0.1.3680043.10.9")

    scanner.ask(pledging.port, request)
    eventually(lambda: archive.requests, what="a request to the archive")
    assert scanner.reports == [], "nothing is committed to before the archive does"
    eventually(lambda: 0x0000 in archive.report(pledging.port, *archive.requests), what="the archive's report")

    eventually(lambda: scanner.reports, what="a report")
    eventually(lambda: pledging.rows("SELECT state FROM pledge") == [("reported",)], what="the report noted")
    eventually(lambda: pledging.text().count("process died") == 1, what="the death")
    eventually(lambda: pledging.rows("SELECT state FROM pledge") == [("reported",)], what="the report noted")
    assert marker.exists()
    for report in scanner.reports:
        assert report.transaction_uid == request.transaction_uid
        assert set(report.kept) == set(request.references) and not report.failed
    assert len(scanner.reports) <= 2


def test_a_kill_of_everything_between_the_request_of_a_scanner_and_our_report_loses_neither(
    pledging: Node, archive: CommittingPacs, scanner: Scanner, ct: Ct
) -> None:
    pledging.start()
    assert set(send(ct.files, pledging.port, calling=scanner.aet).values()) == {0}
    request = request_for([dcmread(path) for path in ct.files], "1.2.826.0.1.3680043.10.10")
    scanner.ask(pledging.port, request)

    pledging.kill()

    assert scanner.reports == []
    pledging.start()
    eventually(lambda: archive.requests, what="a request to the archive")
    eventually(lambda: 0x0000 in archive.report(pledging.port, *archive.requests), what="the archive's report")
    eventually(lambda: scanner.reports, what="a report")
    assert set(scanner.reports[0].kept) == set(request.references)
