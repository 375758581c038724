"""What a peer accepts is asked of it, and what it calls a duplicate is looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from dicomnode.deliver.dimse import Timeouts, send
from dicomnode.deliver.offers import OFFERS, ask
from dicomnode.domain.errors import PeerUnreachable
from dicomnode.domain.network import Peer

COMPREHENSIVE = "1.2.840.10008.5.1.4.1.1.88.33"

Serve = Callable[..., Peer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a pynetdicom SCP with these contexts and handlers."""
    running = []

    def start(contexts: dict[str, list[str]], *handlers: Any) -> Peer:
        ae = AE(ae_title="PACS")
        for sop_class, syntaxes in contexts.items():
            ae.add_supported_context(sop_class, syntaxes)
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
        assert server is not None
        running.append(ae)
        return Peer(name="pacs", aet="PACS", host="127.0.0.1", port=server.server_address[1])

    yield start
    for ae in running:
        ae.shutdown()


def test_a_peer_is_asked_class_by_class_and_syntax_by_syntax(serve: Serve, timeouts: Timeouts) -> None:
    both = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    peer = serve({SegmentationStorage: [ImplicitVRLittleEndian], COMPREHENSIVE: both})

    found = ask(peer, calling_aet="NODE", timeouts=timeouts)

    assert {key for key, result in found.items() if result == 0} == {
        (SegmentationStorage, ImplicitVRLittleEndian),
        (COMPREHENSIVE, ExplicitVRLittleEndian),
        (COMPREHENSIVE, ImplicitVRLittleEndian),
    }
    assert found[SegmentationStorage, ExplicitVRLittleEndian] == 4, "transfer syntaxes not supported"
    assert {sop_class for sop_class, _ in found} == {one for classes in OFFERS.values() for one in classes}


@pytest.mark.parametrize("deflate", [True, False])
def test_a_peer_is_asked_about_what_it_is_sent_and_nothing_else(
    serve: Serve, timeouts: Timeouts, deflate: bool
) -> None:
    syntaxes = [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
    peer = replace(serve({SegmentationStorage: syntaxes}), deflate=deflate)
    found = ask(peer, calling_aet="NODE", timeouts=timeouts)
    assert found.get((SegmentationStorage, DeflatedExplicitVRLittleEndian)) == (0 if deflate else None)
    assert MultiFrameTrueColorSecondaryCaptureImageStorage not in {sop_class for sop_class, _ in found}, "never written"


def test_a_peer_that_accepts_nothing_of_ours_has_answered_all_the_same(serve: Serve, timeouts: Timeouts) -> None:
    found = ask(serve({CTImageStorage: [ExplicitVRLittleEndian]}), calling_aet="NODE", timeouts=timeouts)

    assert set(found.values()) == {3}


def test_a_peer_that_is_away_is_no_peer_that_refuses(timeouts: Timeouts) -> None:
    with pytest.raises(PeerUnreachable):
        ask(Peer(name="gone", aet="GONE", host="127.0.0.1", port=1), calling_aet="NODE", timeouts=timeouts)


@pytest.mark.parametrize(
    ("found", "stored", "words"),
    [
        (["1.2.3.4.1"], True, "verified by C-FIND"),
        ([], False, "C-FIND does not find it"),
        (["9.9"], False, "C-FIND does not find it"),
        (None, True, "not verified"),
    ],
)
def test_a_duplicate_counts_as_stored_unless_the_peer_does_not_find_it(
    serve: Serve, timeouts: Timeouts, outgoing: Any, found: list[str] | None, stored: bool, words: str
) -> None:
    asked = []

    def find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        asked.append((event.identifier.QueryRetrieveLevel, event.identifier.SOPInstanceUID))
        for uid in found or ():
            match = Dataset()
            match.SOPInstanceUID = uid
            yield 0xFF00, match

    contexts = {CTImageStorage: [ExplicitVRLittleEndian]}
    if found is not None:
        contexts[StudyRootQueryRetrieveInformationModelFind] = [ImplicitVRLittleEndian]
    peer = serve(contexts, (evt.EVT_C_STORE, lambda _event: 0x0111), (evt.EVT_C_FIND, find))

    (receipt,) = send(peer, [outgoing()], calling_aet="NODE", timeouts=timeouts)

    assert (receipt.status, receipt.stored, receipt.final) == (0x0111, stored, not stored)
    assert words in receipt.text
    assert asked == ([] if found is None else [("IMAGE", "1.2.3.4.1")])


def test_a_peer_whose_query_fails_leaves_a_duplicate_unverified(
    serve: Serve, timeouts: Timeouts, outgoing: Any
) -> None:
    def find(_event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xA700, None

    contexts = {
        CTImageStorage: [ExplicitVRLittleEndian],
        StudyRootQueryRetrieveInformationModelFind: [ImplicitVRLittleEndian],
    }
    peer = serve(contexts, (evt.EVT_C_STORE, lambda _event: 0x0111), (evt.EVT_C_FIND, find))

    (receipt,) = send(peer, [outgoing()], calling_aet="NODE", timeouts=timeouts)

    assert receipt.stored and "already there, not verified" in receipt.text
