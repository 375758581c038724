"""Queries and retrievals at archives that answer everything an archive can answer."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom import DataElement, Dataset, dcmread
from pydicom.config import IGNORE, settings
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGLSLossless, RTStructureSetStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind as Find,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelGet as Get,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelMove as Move,
)

from dicomnode.config import parse
from dicomnode.deliver.association import Timeouts, conversation
from dicomnode.deliver.dimse import Outgoing
from dicomnode.domain.errors import DeliveryError, OutOfResources, PeerUnreachable, Unsuitable
from dicomnode.domain.network import Peer
from dicomnode.flow.preflight.priors import prior_sources
from dicomnode.flow.verdict import Verdict
from dicomnode.query import find, retrieve
from dicomnode.query.talk import Talk

Serve = Callable[..., Peer]

FIRST, LAST = date(2025, 1, 1), date(2025, 12, 31)
TIMEOUTS = Timeouts(connect_seconds=5, acse_seconds=5, dimse_seconds=5)


@pytest.fixture(autouse=True)
def reads_as_the_node_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "reading_validation_mode", IGNORE)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts an archive with these handlers for its SOP classes."""
    servers = []

    def start(**handlers: Callable[[evt.Event], Any]) -> Peer:
        ae = AE(ae_title="PACS")
        classes = {"find": (Find, evt.EVT_C_FIND), "move": (Move, evt.EVT_C_MOVE), "get": (Get, evt.EVT_C_GET)}
        for name in handlers:
            ae.add_supported_context(classes[name][0])
        ae.add_supported_context("1.2.840.10008.1.1")
        for sop_class in (CTImageStorage,):
            ae.add_supported_context(sop_class, scp_role=True, scu_role=True)
        bound: list[evt.EventHandlerType] = [(classes[name][1], handler) for name, handler in handlers.items()]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=bound)
        assert server is not None
        servers.append(server)
        return Peer(name="PACS", aet="PACS", host="127.0.0.1", port=server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()


def dataset(**attributes: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def a_study(uid: str, patient_id: str = "P1", day: str = "20250601", **more: Any) -> Dataset:
    return dataset(StudyInstanceUID=uid, PatientID=patient_id, StudyDate=day, **more)


def asked(peer: Peer, ask: Callable[[Talk], Any]) -> Any:
    with conversation(peer, find.contexts(), calling_aet="DICOMNODE", timeouts=TIMEOUTS) as talk:
        return ask(talk)


# ---- C-FIND


def test_a_query_names_one_patient_and_a_range_of_dates(serve: Serve) -> None:
    asked_for = []

    def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        asked_for.append(event.identifier)
        yield 0xFF00, a_study("1.1", ModalitiesInStudy=["CT", "SEG"])

    (found,) = asked(serve(find=on_find), lambda talk: find.studies(talk, "P1", FIRST, LAST))
    (query,) = asked_for
    assert (query.QueryRetrieveLevel, query.PatientID, query.StudyDate) == ("STUDY", "P1", "20250101-20251231")
    assert (found.study_instance_uid, found.study_date) == ("1.1", date(2025, 6, 1))
    assert found.modalities == {"CT", "SEG"}


def test_answers_beside_the_question_are_dropped(serve: Serve) -> None:
    strange = a_study("1.5")
    strange["StudyInstanceUID"] = DataElement("StudyInstanceUID", "UI", "../../etc", validation_mode=IGNORE)

    def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xFF00, a_study("1.1", patient_id="P2")
        yield 0xFF00, a_study("1.2", day="20240601")
        yield 0xFF00, a_study("1.3", day="")
        yield 0xFF00, strange
        yield 0xFF00, dataset(PatientID="")
        yield 0xFF01, a_study("1.4", patient_id="P1 ")

    found = asked(serve(find=on_find), lambda talk: find.studies(talk, "P1", FIRST, LAST))
    assert [one.study_instance_uid for one in found] == ["1.4"]


def test_nothing_leaves_the_node_for_a_patient_id_that_could_match_others(serve: Serve) -> None:
    def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        raise AssertionError("asked all the same")

    with pytest.raises(Unsuitable):
        asked(serve(find=on_find), lambda talk: find.studies(talk, "P*", FIRST, LAST))


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC001])
def test_a_failure_of_the_query_is_told_in_words(serve: Serve, status: int) -> None:
    def on_find(event: evt.Event) -> Iterator[tuple[int, None]]:
        yield status, None

    with pytest.raises(DeliveryError, match=f"C-FIND ended with {status:04X}"):
        asked(serve(find=on_find), lambda talk: find.studies(talk, "P1", FIRST, LAST))


def test_what_an_archive_says_of_a_patient_in_its_comment_goes_no_further(serve: Serve) -> None:
    refusal = dataset(Status=0xA900, ErrorComment="no patient P1 DOE^JANE")

    def on_find(event: evt.Event) -> Iterator[tuple[Dataset, None]]:
        yield refusal, None

    def on_get(event: evt.Event) -> Iterator[Any]:
        yield 1
        yield refusal, None

    with pytest.raises(DeliveryError, match="C-FIND ended with A900") as failed:
        asked(serve(find=on_find), lambda talk: find.studies(talk, "P1", FIRST, LAST))
    assert "DOE" not in str(failed.value)
    with pytest.raises(DeliveryError, match="C-GET ended with A900") as failed:
        got(serve(get=on_get), lambda stored: None, Path())
    assert "DOE" not in str(failed.value)


def test_a_series_may_be_as_long_as_it_was_announced(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        for number in range(8):
            yield 0xFF00, dataset(SOPInstanceUID=f"1.1.1.{number}")

    monkeypatch.setattr(find, "_MOST_ANSWERS", 5)
    peer = serve(find=on_find)
    assert len(asked(peer, lambda talk: find.instances(talk, "1.1", "1.1.1", 8))) == 8
    with pytest.raises(DeliveryError, match="more than 5 answers"):
        asked(peer, lambda talk: find.instances(talk, "1.1", "1.1.1"))


def test_an_archive_that_answers_without_end_is_cut_off(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        number = 0
        while not event.is_cancelled and event.assoc.is_established:
            number += 1
            yield 0xFF00, a_study(f"1.{number}")

    monkeypatch.setattr(find, "_MOST_ANSWERS", 5)
    with pytest.raises(DeliveryError, match="more than 5 answers"):
        asked(serve(find=on_find), lambda talk: find.studies(talk, "P1", FIRST, LAST))


def test_an_archive_that_hangs_up_in_the_middle_is_unreachable(serve: Serve) -> None:
    def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        yield 0xFF00, a_study("1.1")
        event.assoc.abort()

    with pytest.raises(PeerUnreachable):
        asked(serve(find=on_find), lambda talk: find.studies(talk, "P1", FIRST, LAST))


def test_an_archive_that_allows_no_query_is_named_as_such(serve: Serve) -> None:
    with pytest.raises(DeliveryError, match="accepts no C-FIND"):
        asked(serve(), lambda talk: find.studies(talk, "P1", FIRST, LAST))


def test_an_archive_that_is_not_there_is_unreachable() -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        gone = Peer(name="PACS", aet="PACS", host="127.0.0.1", port=probe.getsockname()[1])
    with pytest.raises(PeerUnreachable, match="no TCP connection"):
        asked(gone, lambda talk: find.studies(talk, "P1", FIRST, LAST))


def test_series_and_objects_are_listed_with_what_the_archive_says_of_them(serve: Serve) -> None:
    def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        if event.identifier.QueryRetrieveLevel == "SERIES":
            yield 0xFF00, dataset(SeriesInstanceUID="1.1.1", Modality="CT", NumberOfSeriesRelatedInstances=2)
            yield 0xFF00, dataset(SeriesInstanceUID="1.1.2", Modality="")
            yield 0xFF00, dataset(SeriesInstanceUID="", Modality="CT")
        else:
            yield 0xFF00, dataset(SOPInstanceUID="1.1.1.1", SOPClassUID=CTImageStorage)
            yield 0xFF00, dataset(SOPInstanceUID="1.1.1.2")
            yield 0xFF00, dataset(SOPInstanceUID="1.9.9.9", SeriesInstanceUID="1.9.9")

    peer = serve(find=on_find)
    series = asked(peer, lambda talk: find.series(talk, "1.1"))
    assert [(one.series_instance_uid, one.modality, one.instances) for one in series] == [
        ("1.1.1", "CT", 2), ("1.1.2", "", 0),
    ]  # fmt: skip
    objects = asked(peer, lambda talk: find.instances(talk, "1.1", "1.1.1"))
    assert objects == {"1.1.1.1": CTImageStorage, "1.1.1.2": ""}


# ---- C-MOVE


def moved(peer: Peer) -> str:
    with conversation(peer, retrieve.move_contexts(), calling_aet="DICOMNODE", timeouts=TIMEOUTS) as talk:
        return retrieve.move(talk, "1.1", "1.1.1", to_aet="DICOMNODE")


def test_an_archive_that_does_not_know_us_says_so(serve: Serve) -> None:
    def on_move(event: evt.Event) -> Iterator[Any]:
        assert event.move_destination == "DICOMNODE"
        yield None, None

    with pytest.raises(DeliveryError, match=r"A801 .*[Dd]estination"):
        moved(serve(move=on_move))


def test_a_move_without_matches_is_no_failure(serve: Serve) -> None:
    def on_move(event: evt.Event) -> Iterator[Any]:
        yield "127.0.0.1", 104
        yield 0

    assert moved(serve(move=on_move)) == ""


# ---- C-GET


@pytest.fixture
def images(outgoing: Callable[..., Outgoing]) -> list[Path]:
    return [outgoing(number).path for number in (1, 2, 3)]


def got(peer: Peer, keep: Callable[[retrieve.Stored], None], folder: Path) -> str:
    contexts = retrieve.get_contexts([CTImageStorage], [ExplicitVRLittleEndian, JPEGLSLossless])
    with conversation(
        peer, contexts, calling_aet="DICOMNODE", timeouts=TIMEOUTS,
        roles=retrieve.get_roles(contexts), handlers=retrieve.get_handlers(keep, folder),
    ) as talk:  # fmt: skip
        return retrieve.get(talk, "1.1", "1.1.1")


def sending(paths: list[Path]) -> Callable[[evt.Event], Iterator[Any]]:
    def on_get(event: evt.Event) -> Iterator[Any]:
        yield len(paths)
        for path in paths:
            yield 0xFF00, dcmread(path)

    return on_get


def test_objects_come_over_the_association_that_asked_for_them_byte_for_byte(
    serve: Serve, images: list[Path], tmp_path: Path
) -> None:
    came: dict[str, Dataset] = {}

    def keep(stored: retrieve.Stored) -> None:
        came[stored.sop_instance_uid] = dcmread(stored.path)
        assert stored.transfer_syntax_uid == came[stored.sop_instance_uid].file_meta.TransferSyntaxUID

    assert got(serve(get=sending(images)), keep, tmp_path) == ""
    assert {uid: ds.PixelData for uid, ds in came.items()} == {
        ds.SOPInstanceUID: ds.PixelData for ds in map(dcmread, images)
    }
    assert list(tmp_path.glob(".fetched-*")) == []


def test_what_cannot_be_kept_is_refused_and_the_rest_comes(serve: Serve, images: list[Path], tmp_path: Path) -> None:
    kept: list[str] = []

    def keep(stored: retrieve.Stored) -> None:
        if kept:
            raise OutOfResources("priors: no room")
        kept.append(stored.sop_instance_uid)

    assert got(serve(get=sending(images)), keep, tmp_path) == "2 of its objects could not be sent"
    assert len(kept) == 1


def test_an_archive_that_dies_half_way_is_unreachable_and_what_came_stays(
    serve: Serve, images: list[Path], tmp_path: Path
) -> None:
    kept: list[str] = []

    def on_get(event: evt.Event) -> Iterator[Any]:
        yield 3
        yield 0xFF00, dcmread(images[0])
        event.assoc.abort()

    with pytest.raises(PeerUnreachable):
        got(serve(get=on_get), lambda stored: kept.append(stored.sop_instance_uid), tmp_path)
    assert len(kept) == 1


def test_structure_sets_are_among_what_may_come_where_the_archive_names_no_classes() -> None:
    proposed = {str(one.abstract_syntax) for one in retrieve.get_contexts([], [ExplicitVRLittleEndian])}
    assert RTStructureSetStorage in proposed


def test_all_proposed_contexts_fit_into_an_association() -> None:
    classes = [f"1.2.840.10008.5.1.4.1.1.{number}" for number in range(200)]
    contexts = retrieve.get_contexts(classes, [ExplicitVRLittleEndian, JPEGLSLossless])
    assert len(contexts) <= 128
    roles = retrieve.get_roles(contexts)
    assert {role.sop_class_uid for role in roles} == {str(one.abstract_syntax) for one in contexts} - {str(Get)}
    assert all(role.scp_role and not role.scu_role for role in roles)


# ---- what comes of a C-MOVE


@pytest.mark.parametrize(("originator", "seen"), [("DICOMNODE", "DICOMNODE"), ("OTHER ", "OTHER"), (None, "")])
def test_the_listener_tells_in_whose_name_an_object_was_moved(
    listen: Callable[..., Any],
    associate: Callable[..., Any],
    ct: Callable[..., Dataset],
    recorder: Any,
    originator: str | None,
    seen: str,
) -> None:
    association = associate(listen())
    status = association.send_c_store(ct(), originator_aet=originator, originator_id=1 if originator else None)
    assert status.Status == 0x0000
    (arrival,) = recorder.accepted.values()
    assert arrival.move_originator == seen


# ---- what `dicomnode check` says


def checked(peer: Peer) -> tuple[Verdict, str]:
    entry = {"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": peer.port, "retrieve": peer.retrieve}
    rule = {"name": "r", "model": "m", "series": {"Modality": "CT"}, "priors": {"from": ["store", "PACS"]}}
    document = {"peer": [{**entry, "accept_research": True}], "rule": [rule, {**rule, "name": "s"}]}
    (found,) = prior_sources(parse(document))
    return found.verdict, found.found


@pytest.mark.parametrize(("way", "service"), [("move", "C-MOVE"), ("get", "C-GET")])
def test_check_tells_whether_a_source_of_priors_can_be_asked(serve: Serve, way: str, service: str) -> None:
    def never(event: evt.Event) -> Iterator[Any]:
        raise AssertionError("only the association was wanted")

    able = replace(serve(**{"find": never, way: never}), retrieve=way)
    verdict, found = checked(able)
    assert verdict is Verdict.OK and f"accepts C-FIND and {service}" in found
    assert checked(replace(serve(find=never), retrieve=way)) == (Verdict.WARN, f"accepts no {service}")
    assert checked(replace(serve(), retrieve=way)) == (Verdict.WARN, f"accepts no C-FIND and no {service}")
