"""What an archive says of a study over the network, and what the check before the start tells of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Find  # type: ignore[attr-defined]

from dicomnode.config import Settings, parse
from dicomnode.domain.errors import DeliveryError, NoAssociation
from dicomnode.flow.identity.ask import questioner
from dicomnode.flow.identity.check import asked_archives
from dicomnode.flow.verdict import Verdict

_VERIFICATION = "1.2.840.10008.1.1"

MakeArchive = Callable[..., Settings]


@pytest.fixture
def archive() -> Iterator[MakeArchive]:
    """Starts an archive that gives these answers to a query; None takes no queries. The settings of who knows it."""
    with ExitStack() as started:

        def start(answers: list[tuple[int, Dataset | None]] | None, **peer: Any) -> Settings:
            ae = AE(ae_title="PACS")
            ae.add_supported_context(_VERIFICATION)
            if answers is not None:
                ae.add_supported_context(Find)

            def find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
                asked = event.identifier
                assert (asked.QueryRetrieveLevel, asked.StudyInstanceUID) == ("STUDY", "1.2.3")
                assert {"PatientID", "IssuerOfPatientID", "PatientBirthDate", "AccessionNumber"} <= set(asked.dir())
                yield from answers or ()

            server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
            assert server is not None
            started.callback(server.shutdown)
            return _settings(server.server_address[1], **peer)

        yield start


def _settings(port: int, **peer: Any) -> Settings:
    return parse({"peer": [{"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": port, **peer}]})


def _answer(study: str = "1.2.3", charset: str = "ISO_IR 192", **values: str) -> tuple[int, Dataset]:
    ds = Dataset()
    ds.SpecificCharacterSet, ds.StudyInstanceUID, ds.QueryRetrieveLevel = charset, study, "STUDY"
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return 0xFF00, ds


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192"])
def test_what_it_says_of_the_study_is_read_in_its_character_set(archive: MakeArchive, charset: str) -> None:
    other = _answer("9.9", PatientID="P9")
    settings = archive([_answer(charset=charset, PatientID="P2 ", PatientName="Müller^Ida", PatientSex=""), other])
    found = questioner(settings)(settings.peers[0], "1.2.3")
    assert found is not None and len(found) == 1, "what was not asked for is no answer"
    values = found[0].values
    assert (values["PatientID"], values["PatientName"], values["PatientSex"]) == ("P2", "Müller^Ida", "")
    assert values["AccessionNumber"] == ""


def test_a_study_that_it_does_not_have_is_no_answer(archive: MakeArchive) -> None:
    settings = archive([])
    assert questioner(settings)(settings.peers[0], "1.2.3") == []


def test_one_that_takes_no_queries_is_no_fault(archive: MakeArchive) -> None:
    settings = archive(None)
    assert questioner(settings)(settings.peers[0], "1.2.3") is None


def test_a_query_that_fails_is_told_without_the_archives_own_words(archive: MakeArchive) -> None:
    settings = archive([(0xA900, None)])
    with pytest.raises(DeliveryError, match="C-FIND ended with A900"):
        questioner(settings)(settings.peers[0], "1.2.3")


def test_one_that_is_away_gives_no_association() -> None:
    settings = _settings(1)
    with pytest.raises(NoAssociation):
        questioner(settings)(settings.peers[0], "1.2.3")
    assert list(asked_archives(settings)) == [], "its own check has told"


def test_the_check_tells_which_archives_can_be_asked(archive: MakeArchive) -> None:
    (able,), (unable,) = asked_archives(archive([])), asked_archives(archive(None))
    assert able.verdict is Verdict.OK and able.found == "accepts C-FIND; asked about results that waited for 3600 s"
    assert unable.verdict is Verdict.WARN and "identity = false" in unable.remedy
    assert list(asked_archives(archive([], identity=False))) == []
