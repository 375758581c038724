"""Studies of an archive without a result are named with where they stand; no others are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from rich.console import Console

from dicomnode.config import parse
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.header import Header
from dicomnode.flow.outbox import Outbox
from dicomnode.flow.reconcile.ask import asking
from dicomnode.flow.reconcile.studies import Reconciled, reconcile
from dicomnode.flow.retract import retract
from dicomnode.flow.shown.reconciled import show_reconciled
from dicomnode.flow.span import end_of_day, moment
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.toy import write_bundle
from tests.unit.flow.test_work import PEER, Node

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def header(**values: Any) -> Header:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return Header.of(ds.to_json_dict())


class FakeCatalogue:
    """What an archive answers, as far as it keeps it."""

    def __init__(self) -> None:
        self.of_studies: dict[str, Header] = {}
        self.of_series: dict[str, dict[str, Header]] = {}
        self.days: list[date] = []

    def add(self, study: str, at: datetime = NOW - timedelta(hours=1), **series: Any) -> None:
        local = at.astimezone()
        self.of_studies[study] = header(StudyDate=f"{local:%Y%m%d}", StudyTime=f"{local:%H%M%S}")
        values = {"Modality": "CT", "Manufacturer": "ACME", **series}
        self.of_series.setdefault(study, {})[f"{study}.4"] = header(**values)

    def studies(self, day: date, keywords: tuple[str, ...]) -> Mapping[str, Header]:
        self.days.append(day)
        return {uid: one for uid, one in self.of_studies.items() if one.text("StudyDate") == f"{day:%Y%m%d}"}

    def series(self, study_instance_uid: str, keywords: tuple[str, ...]) -> Mapping[str, Header]:
        return self.of_series[study_instance_uid]


@pytest.fixture
def it(db: Database, files: Files, clock: Hands, tmp_path: Path) -> Node:
    write_bundle(tmp_path / "models")
    rule = {
        "name": "r", "model": "toy", "destinations": ["PACS"],
        "series": {"Modality": "CT", "ImageType": {"contains": "ORIGINAL"}}, "study": {"calling_aet": "PACS"},
    }  # fmt: skip
    document = {
        "store": {"folder": str(files.folder)}, "models": {"folder": str(tmp_path / "models")}, "peer": [PEER],
        "rule": [rule], "deliver": {"ask_after_seconds": 0},
    }  # fmt: skip
    return Node(db, files, clock, parse(document))


@pytest.fixture
def catalogue() -> FakeCatalogue:
    return FakeCatalogue()


Look = Callable[..., Reconciled]


@pytest.fixture
def look(it: Node, catalogue: FakeCatalogue) -> Look:
    def run(since: datetime = NOW - timedelta(hours=24), until: datetime = NOW) -> Reconciled:
        return reconcile(it.db, it.settings, it.settings.peers[0], catalogue, since, until)

    return run


def why(found: Reconciled) -> dict[str, tuple[str, str]]:
    return {one.study_instance_uid: (one.why, one.command.split(" ")[0:2][-1]) for one in found.lacking}


def analysed(it: Node, ct: Any, receive: Any) -> None:
    receive(it.intake, ct())
    it.settled()
    it.work_until_idle()


def delivered(it: Node, status: int = 0) -> list[str]:
    """Have everything sent, as PACS answers; the series that it has then."""
    from dicomnode.domain.work import Receipt

    def send(_peer: Any, batch: Any) -> Any:
        for one in batch:
            yield Receipt(
                sop_instance_uid=one.sop_instance_uid, status=status, stored=status == 0, final=True, text="as told"
            )

    outbox = Outbox(it.db, it.files, it.settings, send, "deliver-1")
    while outbox.run_once("PACS"):
        it.clock.forward(1)
    rows = it.db.rows("SELECT series_instance_uid FROM result JOIN delivery USING (result_id) WHERE state = 'done'")
    return [row["series_instance_uid"] for row in rows]


def test_what_never_came_is_named_with_what_the_archive_did_not_tell_and_how_to_have_it_sent(
    look: Look, catalogue: FakeCatalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue.add("1.2.8")
    catalogue.add("1.2.9", Modality="MR")
    found = look()
    (one,) = found.lacking
    assert (found.studies, found.matching) == (2, 1)
    assert (one.study_instance_uid, one.why, one.rule) == ("1.2.8", "never came here", "r")
    assert one.not_told == ("calling_aet", "ImageType")
    assert one.command == (
        "movescu -S -aet RECONCILE -aec PACS -aem DICOMNODE 127.0.0.1 104 -k QueryRetrieveLevel=STUDY"
        " -k StudyInstanceUID=1.2.8"
    )
    show_reconciled(found, Console(width=60))
    said = capsys.readouterr().out
    assert "1.2.8  r: never came here (not told by the archive: calling_aet, ImageType)" in said
    assert "2 studies, 1 times a rule takes one as far as the archive tells, 1 without a result" in said
    assert json.loads(json.dumps(asdict(found), default=str))["lacking"][0]["study_instance_uid"] == "1.2.8"


def test_a_condition_that_the_archive_answers_decides(look: Look, catalogue: FakeCatalogue) -> None:
    catalogue.add("1.2.8", ImageType=["DERIVED", "SECONDARY"])
    catalogue.add("1.2.9", ImageType=["ORIGINAL", "PRIMARY"])
    assert list(why(look())) == ["1.2.9"]


def test_a_study_is_followed_through_everything_that_may_become_of_it(
    it: Node, look: Look, catalogue: FakeCatalogue, ct: Any, receive: Any
) -> None:
    catalogue.add("1.2.3")
    receive(it.intake, ct())
    assert why(look()) == {"1.2.3": ("is receiving", "why")}
    it.settled()
    assert why(look()) == {"1.2.3": ("its analysis is waiting", "why")}
    it.work_until_idle()
    assert why(look()) == {"1.2.3": ("its results wait for their delivery", "why")}
    for uid in delivered(it):
        catalogue.of_series["1.2.3"][uid] = header(Modality="SR", Manufacturer="dicomnode project")
    assert look().lacking == () and look().matching == 1
    gone = catalogue.of_series["1.2.3"].popitem()
    assert why(look()) == {"1.2.3": ("1 series of results were delivered and are not there any more", "rerun")}
    catalogue.of_series["1.2.3"][gone[0]] = gone[1]
    retract(it.db, it.files, it.settings, "1.2.3", "wrong", "quality")
    assert look().lacking == ()


def test_a_delivery_that_was_refused_is_named_with_how_to_try_it_again(
    it: Node, look: Look, catalogue: FakeCatalogue, ct: Any, receive: Any
) -> None:
    catalogue.add("1.2.3")
    analysed(it, ct, receive)
    delivered(it, status=0xA900)
    (found,) = why(look()).values()
    assert "deliveries failed" in found[0] and found[1] == "retry"


def test_a_study_that_is_held_is_named_without_the_reason(
    it: Node, look: Look, catalogue: FakeCatalogue, ct: Any, receive: Any
) -> None:
    from dicomnode.store.studies import Studies

    catalogue.add("1.2.3")
    analysed(it, ct, receive)
    with it.db.transaction():
        Studies(it.db, it.files).hold("1.2.3", "images differ")
    assert why(look()) == {"1.2.3": ("held until an operator decides", "why")}


def test_a_report_that_another_node_of_ours_has_made_counts(look: Look, catalogue: FakeCatalogue) -> None:
    catalogue.add("1.2.8")
    catalogue.of_series["1.2.8"]["1.2.8.5"] = header(Modality="SR", Manufacturer="dicomnode project")
    assert look().lacking == ()


def test_studies_outside_the_time_are_left_out_and_those_without_a_time_are_not(
    look: Look, catalogue: FakeCatalogue
) -> None:
    catalogue.add("1.2.1", NOW - timedelta(hours=25))
    catalogue.add("1.2.2", NOW - timedelta(hours=23))
    catalogue.add("1.2.3", NOW + timedelta(minutes=10))
    catalogue.add("1.2.4")
    catalogue.of_studies["1.2.4"] = header(StudyDate=f"{NOW.astimezone():%Y%m%d}")
    found = look()
    assert set(why(found)) == {"1.2.2", "1.2.4"}
    assert len(catalogue.days) == 2


def test_a_study_of_a_scanner_whose_clock_runs_ahead_counts_until_the_end_of_the_day(
    look: Look, catalogue: FakeCatalogue
) -> None:
    end = end_of_day(NOW)
    catalogue.add("1.2.1", end)
    catalogue.add("1.2.2", end + timedelta(seconds=1))
    assert set(why(look(until=end))) == {"1.2.1"}
    assert end.date() == NOW.astimezone().date() and end > NOW


def test_without_a_rule_whose_model_can_be_read_nothing_is_asked(it: Node, look: Look, tmp_path: Path) -> None:
    (tmp_path / "models" / "toy" / "model.toml").write_text("broken")
    with pytest.raises(DicomNodeError, match="no rule is enabled"):
        look()


def test_a_peer_that_is_away_or_has_no_port_is_told(it: Node) -> None:
    from dataclasses import replace

    peer = replace(it.settings.peers[0], port=1)
    with pytest.raises(DicomNodeError, match="PACS"), asking(peer, it.settings):
        pass
    with pytest.raises(DicomNodeError, match="no DICOM port"), asking(replace(peer, port=0), it.settings):
        pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-11-20T08:00+00:00", NOW - timedelta(days=1)),
        ("1.5h", NOW - timedelta(minutes=90)),
    ],
)
def test_a_moment_is_read_as_people_write_it(text: str, expected: datetime) -> None:
    assert moment(text, NOW, "--since") == expected


@pytest.mark.parametrize("text", ["yesterday", "24", "999999w", "", "2026-13-01"])
def test_what_is_no_moment_is_told_with_what_is(text: str) -> None:
    with pytest.raises(DicomNodeError, match=r"--since: found .*, needed a day"):
        moment(text, NOW, "--since")
