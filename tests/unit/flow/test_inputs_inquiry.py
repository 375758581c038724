"""Images go only after an archive has said that it has them, where the configuration wants that."""

from __future__ import annotations

from threading import Event

import pytest

from dicomnode.config import parse
from dicomnode.domain.errors import ConfigError, DeliveryError, PeerUnreachable
from dicomnode.flow.retention import check as inputs_check
from dicomnode.flow.retention import thread as inputs_thread
from dicomnode.flow.retention.inquiry import InputsInquiry
from dicomnode.flow.verdict import Verdict
from dicomnode.store.database import Database
from tests.owing import PEER
from tests.unit.flow.committing import FakeLine
from tests.unit.flow.estate import Estate
from tests.unit.flow.keeping import Keeping

WANTED = ("2 objects that no archive has confirmed",)


@pytest.fixture
def keeping(estate: Estate) -> Keeping:
    return Keeping(estate, inputs_days=1, results_days=1000, high_percent=0, inputs_confirmed_by=["PACS", "VNA"])


def asking(keeping: Keeping, *lines: FakeLine) -> InputsInquiry:
    return InputsInquiry(keeping.db, keeping.settings, list(zip(("PACS", "VNA"), lines, strict=False)))


def uids(keeping: Keeping, study: str = "1.2") -> list[str]:
    rows = keeping.db.rows("SELECT sop_instance_uid FROM instance WHERE study_instance_uid = ? ORDER BY 1", study)
    return [row[0] for row in rows]


def test_images_stay_until_each_is_at_one_of_the_archives(keeping: Keeping) -> None:
    keeping.done("1.2")
    keeping.later(2)
    assert keeping.owes("1.2") == WANTED and keeping.room.sweep().files == 0
    pacs, vna = FakeLine(), FakeLine()
    pacs.holds, vna.holds = set(uids(keeping)[:1]), set(uids(keeping)[1:])
    inquiry = asking(keeping, pacs, vna)

    assert inquiry.run_once() and not inquiry.run_once()

    assert pacs.queries == [set(uids(keeping))] and vna.queries == [set(uids(keeping)[1:])]
    assert keeping.owes("1.2") == ()
    assert ("objects confirmed", "2 objects, by C-FIND at PACS and VNA") in keeping.events("1.2")
    keeping.later(0.1)
    assert keeping.room.sweep().files == 2


def test_what_is_not_there_yet_is_asked_for_again_ever_less_often(keeping: Keeping) -> None:
    keeping.done("1.2")
    pacs = FakeLine()
    inquiry = asking(keeping, pacs)
    asked = []
    for hour in range(72):
        if inquiry.run_once():
            asked.append(hour)
        keeping.later(1 / 24 + 1e-6)
    assert asked == [0, 1, 3, 7, 15, 31, 55]
    assert [arrow for arrow, _detail in keeping.events("1.2")].count("objects not confirmed") == 1
    assert keeping.owes("1.2") == WANTED

    pacs.holds = set(uids(keeping))
    keeping.later(1)
    assert inquiry.run_once() and keeping.owes("1.2") == ()


def test_what_comes_after_it_was_confirmed_is_asked_for_again(keeping: Keeping) -> None:
    keeping.done("1.2")
    pacs = FakeLine()
    pacs.holds = set(uids(keeping))
    inquiry = asking(keeping, pacs)
    inquiry.run_once()
    keeping.later(0.1)
    keeping.estate.intake.accept(keeping.estate.make(3, study="1.2", series="1.2.1", StudyDate="20261120"))
    keeping.later(0.1)
    keeping.estate.settle.sweep()
    assert "3 objects that no archive has confirmed" in keeping.owes("1.2")
    pacs.holds = set(uids(keeping))
    assert inquiry.run_once()
    assert "3 objects that no archive has confirmed" not in keeping.owes("1.2")


def test_an_archive_that_is_away_rests_and_says_nothing_about_what_it_has(keeping: Keeping) -> None:
    for study in ("1.2", "1.3"):
        keeping.done(study)
    pacs, vna = FakeLine(), FakeLine()
    pacs.error = PeerUnreachable("no connection")
    vna.holds = set(uids(keeping, "1.3"))
    inquiry = asking(keeping, pacs, vna)
    while inquiry.run_once():
        pass
    assert keeping.owes("1.2") == WANTED and keeping.owes("1.3") == ()
    assert len(pacs.queries) == 1

    pacs.error = None
    pacs.holds = set(uids(keeping))
    keeping.later(0.01)
    while inquiry.run_once():
        pass
    assert keeping.owes("1.2") == ()


def test_with_every_archive_away_nothing_is_asked(keeping: Keeping) -> None:
    keeping.done("1.2")
    pacs = FakeLine()
    pacs.error = PeerUnreachable("no connection")
    inquiry = asking(keeping, pacs)
    assert [inquiry.run_once() for _again in range(3)] == [True, False, False]


def test_an_archive_that_accepts_no_query_is_asked_again_later(keeping: Keeping) -> None:
    keeping.done("1.2")
    pacs = FakeLine()
    pacs.error = DeliveryError("C-FIND is not accepted")
    inquiry = asking(keeping, pacs)
    assert inquiry.run_once() and not inquiry.run_once()
    assert "C-FIND is not accepted" in keeping.events("1.2")[-1][1]


def test_waiting_for_an_archive_may_have_an_end_and_nobody_is_asked_by_default(keeping: Keeping) -> None:
    keeping.done("1.2")
    keeping.configure(inputs_days=1, unconfirmed_days=10, high_percent=0, inputs_confirmed_by=["PACS"])
    keeping.later(9)
    assert keeping.room.sweep().files == 0
    keeping.later(2)
    assert keeping.room.sweep().files == 2

    keeping.done("1.3")
    keeping.configure(inputs_days=1, high_percent=0)
    assert keeping.owes("1.3") == ()


def test_who_is_asked_has_to_be_an_archive_that_is_known() -> None:
    with pytest.raises(ConfigError, match="no such peer"):
        parse({"retention": {"inputs_confirmed_by": ["PACS"]}})
    with pytest.raises(ConfigError, match="this peer is a modality"):
        parse({"retention": {"inputs_confirmed_by": ["CT"]}, "peer": [{**PEER, "name": "CT", "role": "modality"}]})
    settings = parse({"retention": {"inputs_confirmed_by": ["PACS"]}, "peer": [PEER]})
    assert settings.retention.inputs_confirmed_by == ("PACS",)


@pytest.mark.parametrize(("finds", "verdict"), [(True, Verdict.OK), (False, Verdict.FAIL)])
def test_the_check_tells_whether_an_archive_answers(
    monkeypatch: pytest.MonkeyPatch, finds: bool, verdict: Verdict
) -> None:
    monkeypatch.setattr(inputs_check, "offers", lambda _peer, **_more: (True, finds))
    settings = parse({"retention": {"inputs_confirmed_by": ["PACS"]}, "peer": [PEER, {**PEER, "name": "OTHER"}]})
    (check,) = inputs_check.asked_for_images(settings)
    assert check.subject == "PACS says which images it has" and check.verdict is verdict
    assert bool(check.remedy) is not finds


def test_the_thread_asks_and_ends_with_the_process(keeping: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping.done("1.2")
    pacs, asked, stop = FakeLine(), Event(), Event()
    pacs.holds = set(uids(keeping))

    def line(_peer: object, _settings: object) -> FakeLine:
        asked.set()
        return pacs

    monkeypatch.setattr(inputs_thread, "DimseLine", line)
    with inputs_thread.asking_for_inputs(lambda: Database(keeping.db.path), keeping.settings, stop):
        assert asked.wait(20)
        while not pacs.queries:
            assert not stop.wait(0.01)
        stop.set()
    assert pacs.queries[0] == set(uids(keeping))
