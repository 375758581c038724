"""A made study is let in by its ticket alone, meets its rule alone, and is forgotten without a gap in the log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dicomnode.config import Settings, parse
from dicomnode.domain.condition import parse_conditions
from dicomnode.domain.errors import DicomNodeError, NotAuthorised, Unsuitable
from dicomnode.domain.network import Association
from dicomnode.domain.uid import CHECK_ROOT, check_study_uid, is_check, is_uid
from dicomnode.flow.hold import hold
from dicomnode.flow.intake import Intake
from dicomnode.flow.round_trip import made, ticket
from dicomnode.flow.round_trip.choose import choose
from dicomnode.flow.stacks import in_stacks
from dicomnode.receive.admission import Admission, Admitted, Rejected
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.round_trips import RoundTrips
from dicomnode.train.phantoms import Phantom
from tests.conftest import MakeArrival
from tests.toy import write_bundle

PACS = {"name": "PACS", "aet": "P", "host": "10.0.0.5", "port": 104, "accept_research": True}
RULE = {"name": "r", "model": "toy", "series": {"Modality": "CT"}}


def settings(folder: Path, **more: Any) -> Settings:
    tables = {"peer": [PACS], "rule": [RULE, {**RULE, "name": "other"}], **more}
    return parse({"store": {"folder": str(folder)}, "models": {"folder": str(folder / "models")}, **tables})


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_bundle(tmp_path / "models")
    monkeypatch.setattr(made, "thorax", lambda **_asked: _box())
    made._phantom.cache_clear()
    return tmp_path


def _box() -> Phantom:
    import numpy as np

    return Phantom(
        hounsfield=np.full((60, 8, 8), -800, np.int16), labels=np.zeros((60, 8, 8), np.uint8),
        spacing_mm=(5.0, 3.0, 3.0), origin_mm=(-10.5, -10.5, -147.5), seed=1,
    )  # fmt: skip


def test_study_uids_have_one_root_and_are_uids() -> None:
    found = {check_study_uid() for _ in range(50)}
    assert len(found) == 50
    assert all(is_uid(uid) and is_check(uid) and uid.startswith(CHECK_ROOT) for uid in found)
    assert not is_check("2.25.1234")


def admission(configured: Settings) -> Admission:
    return Admission(
        peers=configured.peers,
        called_aets=frozenset({"DICOMNODE"}),
        guest=lambda calling, address: ticket.guest(configured, calling, address),
    )


def test_a_ticket_lets_in_whoever_has_it_on_this_machine_in_the_place_of_the_peer(store: Path) -> None:
    configured, one = settings(store), ticket.new_ticket("r", "PACS")
    door = admission(configured)
    assert isinstance(door.judge(one.calling_aet, "DICOMNODE", "127.0.0.1"), Rejected)
    ticket.issue(store, one)
    assert len(one.calling_aet) == 16
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert door.judge(one.calling_aet, "DICOMNODE", address) == Admitted(peer="PACS", guest=True)
    assert isinstance(door.judge(one.calling_aet, "DICOMNODE", "10.0.0.9"), Rejected)
    assert isinstance(door.judge(one.calling_aet, "ANOTHER", "127.0.0.1"), Rejected)
    assert isinstance(door.judge("CHECK-AAAAAAAAAA", "DICOMNODE", "127.0.0.1"), Rejected)
    assert (store / "round-trip.json").stat().st_mode & 0o777 == 0o600
    ticket.withdraw(store)
    assert isinstance(door.judge(one.calling_aet, "DICOMNODE", "127.0.0.1"), Rejected)


def test_a_node_on_one_address_is_called_from_that_address(store: Path) -> None:
    configured, one = settings(store, node={"host": "10.0.0.7"}), ticket.new_ticket("r", "PACS")
    ticket.issue(store, one)
    assert ticket.guest(configured, one.calling_aet, "10.0.0.7") == "PACS"


def test_a_guest_may_store_the_study_of_its_ticket_alone(db: Database, files: Files, make_arrival: MakeArrival) -> None:
    one = ticket.new_ticket("r", "PACS")
    ticket.issue(files.folder, one)
    intake = Intake(db, files, ())

    def come(study: str) -> None:
        association = Association(
            association_id="a",
            calling_aet=one.calling_aet,
            called_aet="D",
            address="127.0.0.1",
            peer="PACS",
            guest=True,
        )
        intake.accept(replace(make_arrival(), association=association, study_instance_uid=study))

    come(one.study_instance_uid)
    for study in ("1.2.3", check_study_uid()):
        with pytest.raises(NotAuthorised, match="not the one that this caller was let in for"):
            come(study)
    ticket.withdraw(files.folder)
    with pytest.raises(NotAuthorised):
        come(one.study_instance_uid)
    assert [row[0] for row in db.rows("SELECT study_instance_uid FROM study")] == [one.study_instance_uid]


@pytest.mark.parametrize("damage", ["old", "cut", "strange"])
def test_a_ticket_that_is_old_or_damaged_lets_nobody_in(store: Path, damage: str) -> None:
    one = ticket.new_ticket("r", "PACS")
    if damage == "old":
        one = replace(one, issued_at=datetime.now(UTC) - timedelta(hours=2))
    ticket.issue(store, one)
    path = store / "round-trip.json"
    if damage != "old":
        path.write_text(path.read_text()[:20] if damage == "cut" else '{"calling_aet": "X"}')
    assert ticket.valid(store) is None
    assert ticket.guest(settings(store), one.calling_aet, "127.0.0.1") == ""


def test_a_made_study_meets_the_rule_of_its_ticket_and_no_other(store: Path) -> None:
    wish = {"from": ["PACS"]}
    configured = settings(store, rule=[{**RULE, "priors": wish}, {**RULE, "name": "other"}])
    one = ticket.new_ticket("r", "PACS")
    ticket.issue(store, one)
    (rule,) = ticket.rules_for(configured, one.study_instance_uid)
    assert (rule.name, rule.priors) == ("r", None)
    assert ticket.rules_for(configured, "1.2.3") == configured.rules
    assert ticket.rules_for(configured, check_study_uid()) == (), "left behind by another round trip"


def test_only_one_round_trip_is_under_way_on_a_store(store: Path) -> None:
    with ticket.alone(store), pytest.raises(DicomNodeError, match="another round trip"), ticket.alone(store):
        pass
    with ticket.alone(store):
        pass


def test_the_images_take_on_what_the_rule_asks_for_and_keep_whose_they_are(store: Path) -> None:
    table = {
        "Modality": "CT", "ImageType": {"contains": "AXIAL"}, "SliceThickness": {"at_most": 2.0},
        "SeriesDescription": {"matches": "(?i)lung.*thin"}, "StationName": {"any_of": ["CT7", "CT8"]},
        "BodyPartExamined": "THORAX", "ContrastBolusAgent": {"missing": True}, "PatientAge": {"at_least": "018Y"},
        "KVP": {"at_least": 130}, "ProtocolName": {"present": True},
    }  # fmt: skip
    configured = settings(store, rule=[{**RULE, "series": table}])
    spacing = made.slice_spacing_mm(configured.rules[0].series)
    uid = check_study_uid()
    datasets = made.chest_ct(uid, date(2026, 1, 2), spacing, configured.rules[0].series)
    study = in_stacks(made.as_study(datasets, calling_aet="C", called_aet="D", peer="PACS"))
    (held,) = [one for _series, one in hold(configured.rules[0], study)]
    assert held.matched, [reason.text for reason in held.failed]
    assert spacing == pytest.approx(5 / 3)
    assert len(datasets) == 180
    heights = [one.ImagePositionPatient[2] for one in datasets]
    # Positions are written with six digits.
    assert all(b - a == pytest.approx(5 / 3, abs=1e-3) for a, b in pairwise(heights))
    assert {(one.PatientID, str(one.PatientName), one.StudyInstanceUID) for one in datasets} == {
        ("DICOMNODE-CHECK", "DICOMNODE^CHECK", uid)
    }


def test_the_finer_grid_covers_what_the_drawn_one_did(store: Path) -> None:
    first, last = (made.chest_ct(check_study_uid(), date(2026, 1, 2), 2.5, ())[place] for place in (0, -1))
    # Edges: half a voxel of 3 × 3 × 5 mm before the first centre of the phantom.
    assert first.ImagePositionPatient[0] - first.PixelSpacing[1] / 2 == pytest.approx(-10.5 - 1.5)
    assert first.ImagePositionPatient[2] - 2.5 / 2 == pytest.approx(-147.5 - 2.5)
    assert last.ImagePositionPatient[2] + 2.5 / 2 == pytest.approx(-147.5 - 2.5 + 300)
    assert (first.Rows, first.PixelSpacing[0]) == (16, 1.5)


@pytest.mark.parametrize(
    ("rule", "peer", "words"),
    [
        ("s", "", "no rule named s; known: r, other"),
        ("", "PAX", "no peer named PAX; known: PACS"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(store: Path, rule: str, peer: str, words: str) -> None:
    with pytest.raises(Unsuitable, match=words):
        choose(Database(store / "node.db"), settings(store), rule, peer)


def test_the_first_rule_that_takes_a_chest_ct_is_chosen_and_others_say_why_not(store: Path) -> None:
    magnet = {**RULE, "name": "mr", "series": {"MagneticFieldStrength": {"present": True, "at_least": 1.5}}}
    away = {**RULE, "name": "away", "study": {"calling_aet": "CT1"}}
    elsewhere = {**PACS, "name": "B", "aet": "B"}
    fine = {**RULE, "name": "fine", "study": {"called_aet": "NOW"}, "destinations": ["B"]}
    rules = [{**RULE, "enabled": False}, away, fine, magnet]
    configured = settings(store, node={"on_demand": ["NOW"]}, peer=[PACS, elsewhere], rule=rules)
    db = Database(store / "node.db")
    chosen = choose(db, configured, "", "")
    assert (chosen.ticket.rule, chosen.called_aet, [peer.name for peer in chosen.peers]) == ("fine", "NOW", ["B"])
    with pytest.raises(Unsuitable, match="switched off"):
        choose(db, configured, "r", "")
    with pytest.raises(Unsuitable, match="calling_aet equals CT1: found CHECK-"):
        choose(db, configured, "away", "")
    with pytest.raises(Unsuitable, match="its results go to B, not to PACS"):
        choose(db, configured, "fine", "PACS")


def test_forgetting_never_gives_a_number_of_the_log_to_another_event(tmp_path: Path) -> None:
    db, uid = Database(tmp_path / "node.db"), check_study_uid()
    add = "INSERT INTO study (study_instance_uid, changed_at, calling_aet, called_aet, address, peer,"
    add += " first_arrival_at, last_arrival_at) VALUES (?, ?, 'A', 'B', 'C', 'D', ?, ?)"
    for one in ("1.2.3", uid):
        with db.transaction():
            db.execute(add, one, db.now(), db.now(), db.now())
            db.event(one, "study", "", "looked at", "")
    rows = RoundTrips(db)
    newest = db.rows("SELECT MAX(event_id) FROM event")[0][0]
    assert rows.left() == [uid]
    with db.transaction():
        rows.forget(uid)
        db.event("1.2.3", "study", "", "looked at", "again")
    assert db.rows("SELECT MAX(event_id) FROM event")[0][0] == newest + 1
    assert rows.left() == []
    with db.transaction():
        rows.forget(uid)
    assert {row[0] for row in db.rows("SELECT study_instance_uid FROM event")} == {"1.2.3"}


def test_conditions_that_no_image_can_meet_stay_unmet_and_break_nothing(store: Path) -> None:
    wanted = parse_conditions(
        {"StudyInstanceUID": "1.2.3", "Rows": 512, "PatientID": "X", "KVP": "high"}, "rule.series"
    )
    (first, *_rest) = made.chest_ct("1.2.3.4", date(2026, 1, 2), 5.0, wanted)
    assert (first.StudyInstanceUID, first.Rows, first.PatientID) == ("1.2.3.4", 16, "DICOMNODE-CHECK")


def test_the_books_are_searched_for_made_studies_by_their_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = Database(tmp_path / "node.db")
    plans: list[str] = []
    asked = {name: getattr(db, name) for name in ("rows", "execute")}

    def explained(name: str) -> Any:
        def ask(sql: str, *values: Any, **named: Any) -> Any:
            plans.extend(row[3] for row in asked["rows"](f"EXPLAIN QUERY PLAN {sql}", *values, **named))
            return asked[name](sql, *values, **named)

        return ask

    for name in asked:
        monkeypatch.setattr(db, name, explained(name))
    RoundTrips(db).left()
    RoundTrips(db).forget(check_study_uid())
    assert any("SEARCH study USING COVERING INDEX" in plan and ">" in plan for plan in plans)
    assert any("SEARCH event USING" in plan and "event_by_study" in plan for plan in plans)
