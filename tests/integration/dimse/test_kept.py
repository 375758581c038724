"""Whether a peer has objects, asked by C-FIND at IMAGE level of a pynetdicom archive."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Find  # type: ignore[attr-defined]

from dicomnode.config import parse
from dicomnode.domain.commitment import Failure, Reference
from dicomnode.domain.errors import DeliveryError
from dicomnode.domain.network import Peer
from dicomnode.flow.commitment.line import DimseLine
from dicomnode.query import find
from dicomnode.store.commitments import Wanted


class Index:
    """Answers queries at IMAGE level for the objects that it has, by UID or by series."""

    def __init__(self) -> None:
        self.has: dict[str, str] = {}
        self.keys: list[str] = []
        self.status = 0x0000

    def find(self, event: evt.Event) -> Generator[tuple[int, Dataset | None]]:
        query = event.identifier
        self.keys.append(str(query.SOPInstanceUID))
        assert (query.QueryRetrieveLevel, query.StudyInstanceUID, query.SeriesInstanceUID) == ("IMAGE", "1.1", "1.2")
        for uid, sop_class in self.has.items():
            if query.SOPInstanceUID in ("", None, uid):
                answer = Dataset()
                answer.SOPInstanceUID, answer.SOPClassUID = uid, sop_class
                yield 0xFF00, answer
        yield self.status, None


@pytest.fixture
def index() -> Index:
    return Index()


@pytest.fixture
def ask(index: Index) -> Iterator[Callable[[int], dict[str, int]]]:
    """Asks for so many objects; SOP Instance UID → verdict."""
    ae = AE(ae_title="PACS")
    ae.add_supported_context(Find)
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, index.find)])
    line = DimseLine(Peer(name="PACS", aet="PACS", host="127.0.0.1", port=server.server_address[1]), parse({}))

    def one(count: int) -> dict[str, int]:
        wanted = [
            Wanted(
                position=number, reference=Reference(sop_class_uid=CTImageStorage, sop_instance_uid=f"1.3.{number}"),
                study_instance_uid="1.1", series_instance_uid="1.2", delivery_id=None, verdict=None, lost=0,
            )
            for number in range(count)
        ]  # fmt: skip
        return {reference.sop_instance_uid: verdict for reference, verdict in line.query(wanted).items()}

    yield one
    server.shutdown()


def test_a_few_objects_are_asked_for_one_by_one(ask: Callable[[int], dict[str, int]], index: Index) -> None:
    index.has = {"1.3.0": CTImageStorage, "1.3.1": MRImageStorage, "1.3.3": ""}
    assert ask(4) == {"1.3.0": 0, "1.3.1": Failure.CONFLICT, "1.3.2": Failure.NO_SUCH_INSTANCE, "1.3.3": 0}
    assert sorted(index.keys) == ["1.3.0", "1.3.1", "1.3.2", "1.3.3"]


def test_many_objects_are_listed_by_their_series(ask: Callable[[int], dict[str, int]], index: Index) -> None:
    index.has = {f"1.3.{number}": str(CTImageStorage) for number in range(1, 200)}
    found = ask(100)
    assert found.pop("1.3.0") == Failure.NO_SUCH_INSTANCE and set(found.values()) == {0} and len(found) == 99
    assert len(index.keys) == 1


def test_a_failure_of_the_archive_says_nothing_about_its_objects(
    ask: Callable[[int], dict[str, int]], index: Index
) -> None:
    index.status = 0xA700
    with pytest.raises(DeliveryError, match="C-FIND ended with A700"):
        ask(1)


def test_a_part_of_a_long_series_is_found_in_it(
    ask: Callable[[int], dict[str, int]], index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "_MOST_ANSWERS", 50)
    index.has = {f"1.3.{number}": str(CTImageStorage) for number in range(2500)}
    assert set(ask(20).values()) == {0}
