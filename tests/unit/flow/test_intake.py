"""What an arrival does to its study, and what it must not do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import JPEG2000Lossless

from dicomnode.config import parse
from dicomnode.domain.errors import CannotUnderstand, OutOfResources
from dicomnode.flow.intake import Intake
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.studies import Studies
from tests.conftest import Hands, MakeArrival


@pytest.fixture
def intake(db: Database, files: Files) -> Intake:
    rules = parse({"rule": [{"name": "r", "model": "m", "series": {"SeriesDescription": "chest"}}]}).rules
    return Intake(db, files, rules)


def study_row(db: Database) -> dict[str, object]:
    row = db.row("SELECT * FROM study")
    assert row is not None
    return dict(row)


def standings(db: Database) -> list[str]:
    return [row["standing"] for row in db.rows("SELECT standing FROM instance ORDER BY instance_id")]


def settle(db: Database) -> None:
    db.execute("UPDATE study SET state = 'settled'")


def test_an_accepted_object_is_on_the_disk_and_in_the_books(
    intake: Intake, db: Database, files: Files, make_arrival: MakeArrival
) -> None:
    arrival = make_arrival()
    intake.accept(arrival)
    row = db.row("SELECT path, digest FROM instance")
    assert row is not None
    assert files.path(row["path"]).read_bytes().startswith(b"1.2.3 1.2.3.4 1")


def test_an_identical_resend_changes_nothing_not_even_the_quiet_clock(
    intake: Intake, db: Database, clock: Hands, make_arrival: MakeArrival
) -> None:
    intake.accept(make_arrival())
    before = study_row(db)
    clock.forward(30)
    intake.accept(make_arrival())
    assert study_row(db) == before and standings(db) == ["current"]


def test_a_resend_brings_back_a_file_that_is_missing(
    intake: Intake, db: Database, files: Files, make_arrival: MakeArrival
) -> None:
    intake.accept(make_arrival())
    row = db.row("SELECT path FROM instance")
    assert row is not None
    kept = files.path(row["path"]).read_bytes()
    files.path(row["path"]).unlink()
    intake.accept(make_arrival())
    assert files.path(row["path"]).read_bytes() == kept and standings(db) == ["current"]


def test_a_late_slice_reopens_the_study(intake: Intake, db: Database, make_arrival: MakeArrival) -> None:
    intake.accept(make_arrival(1))
    settle(db)
    intake.accept(make_arrival(2))
    row = study_row(db)
    assert (row["state"], row["revision"]) == ("receiving", 2)


def test_other_bytes_with_the_same_content_are_kept_and_change_nothing(
    intake: Intake, db: Database, make_arrival: MakeArrival
) -> None:
    intake.accept(make_arrival(content="as the scanner sent it"))
    settle(db)
    intake.accept(make_arrival(content="as the archive coerced it", InstitutionName="added on the way"))
    assert study_row(db)["state"] == "settled" and standings(db) == ["current", "equal"]


@pytest.mark.parametrize(
    "change", [{"PatientID": "P2"}, {"ImagePositionPatient": [0, 0, 7]}, {"SeriesDescription": "abdomen"}]
)
def test_changed_identity_geometry_or_rule_attributes_replace_the_object_and_reopen_the_study(
    intake: Intake, db: Database, make_arrival: MakeArrival, change: dict[str, object]
) -> None:
    intake.accept(make_arrival())
    settle(db)
    intake.accept(make_arrival(content="corrected", **change))
    assert standings(db) == ["replaced", "current"]
    assert study_row(db)["revision"] == 2
    event = db.row("SELECT detail FROM event WHERE arrow = 'came again'")
    assert event is not None and next(iter(change)) in event["detail"]


def test_the_history_names_what_changed_but_never_its_value(
    intake: Intake, db: Database, make_arrival: MakeArrival
) -> None:
    intake.accept(make_arrival(PatientName="DONT^LOGME"))
    intake.accept(make_arrival(content="x", PatientName="DONT^LOGME^EITHER"))
    story = " ".join(row["detail"] for row in db.rows("SELECT detail FROM event"))
    assert "PatientName" in story and "LOGME" not in story


def test_a_correction_that_is_taken_back_counts_too(intake: Intake, db: Database, make_arrival: MakeArrival) -> None:
    for content, patient in (("first", "P1"), ("second", "P2"), ("first", "P1")):
        intake.accept(make_arrival(content=content, PatientID=patient))
        settle(db)
    assert standings(db) == ["current", "replaced"] and study_row(db)["revision"] == 3


def test_an_attribute_added_empty_is_no_change(intake: Intake, db: Database, make_arrival: MakeArrival) -> None:
    intake.accept(make_arrival())
    settle(db)
    intake.accept(make_arrival(content="with an empty number", AccessionNumber=""))
    assert standings(db) == ["current", "equal"] and study_row(db)["state"] == "settled"


def test_other_encoded_pixels_under_a_known_uid_wait_for_a_decision(
    intake: Intake, db: Database, make_arrival: MakeArrival
) -> None:
    intake.accept(make_arrival())
    settle(db)
    intake.accept(make_arrival(pixels="recompressed"))
    assert standings(db) == ["current", "undecided"]
    assert study_row(db)["state"] == "settled", "it is not known yet whether anything changed"


def test_what_cannot_be_compared_because_the_store_was_damaged_waits_for_a_decision(
    intake: Intake, db: Database, files: Files, make_arrival: MakeArrival
) -> None:
    intake.accept(make_arrival())
    row = db.row("SELECT path FROM instance")
    assert row is not None
    files.path(row["path"]).write_bytes(b"cut short")
    intake.accept(make_arrival(content="as the archive coerced it"))
    assert standings(db) == ["current", "undecided"]


def test_pixels_under_a_corrected_meaning_replace_the_object(
    intake: Intake, db: Database, make_arrival: MakeArrival
) -> None:
    intake.accept(make_arrival(PixelRepresentation=0))
    settle(db)
    intake.accept(make_arrival(content="corrected", PixelRepresentation=1))
    assert standings(db) == ["replaced", "current"] and study_row(db)["revision"] == 2


def test_the_same_bytes_in_another_encoding_are_no_longer_the_same_pixels(
    intake: Intake, db: Database, make_arrival: MakeArrival
) -> None:
    intake.accept(make_arrival())
    intake.accept(replace(make_arrival(content="as JPEG 2000"), transfer_syntax_uid=JPEG2000Lossless))
    assert standings(db) == ["current", "undecided"]


def test_the_same_data_set_in_another_transfer_syntax_is_refused_instead_of_forgotten(
    intake: Intake, db: Database, make_arrival: MakeArrival
) -> None:
    intake.accept(replace(make_arrival(), transfer_syntax_uid=JPEG2000Lossless))
    with pytest.raises(CannotUnderstand, match=f"came before in transfer syntax {JPEG2000Lossless}"):
        intake.accept(make_arrival())
    assert [row["transfer_syntax_uid"] for row in db.rows("SELECT * FROM instance")] == [JPEG2000Lossless]


def test_two_associations_that_bring_the_first_object_of_a_uid_at_once_leave_the_second_to_be_compared(
    intake: Intake, db: Database, make_arrival: MakeArrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = Files.keep_arrival
    late = make_arrival(content="as the archive coerced it", association="a2")

    def overtaken(files: Files, *name: Any) -> str:
        monkeypatch.setattr(Files, "keep_arrival", keep)
        intake.accept(make_arrival())
        return keep(files, *name)

    monkeypatch.setattr(Files, "keep_arrival", overtaken)
    intake.accept(late)
    assert standings(db) == ["current", "undecided"]


def test_the_nodes_own_object_coming_back_leaves_no_trace(
    intake: Intake, db: Database, files: Files, make_arrival: MakeArrival
) -> None:
    intake.accept(make_arrival(1))
    settle(db)
    db.execute(
        "INSERT INTO job (study_instance_uid, changed_at, created_at, revision, rule, model, series_instance_uid,"
        " frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs, destinations, refusal,"
        " not_before) VALUES ('1.2.3', '', '', 1, '', '', '', '', '', '', 1, 0, '', '', '', '')"
    )
    db.execute(
        "INSERT INTO result (job_id, role, sop_class_uid, sop_instance_uid, series_instance_uid, transfer_syntax_uid,"
        " digest, size_bytes, path, created_at) VALUES (1, 'seg', '', '1.2.3.4.77', '', '', '', 0, '', '')"
    )
    intake.accept(make_arrival(77))
    assert study_row(db)["state"] == "settled" and standings(db) == ["current"]


def test_an_on_demand_title_forces_a_run_even_for_an_identical_resend(
    intake: Intake, db: Database, make_arrival: MakeArrival
) -> None:
    intake.accept(make_arrival())
    settle(db)
    intake.accept(make_arrival(on_demand=True))
    row = study_row(db)
    assert (row["state"], row["on_demand"], row["revision"]) == ("receiving", 1, 2)


def test_a_full_disk_refuses_the_object_keeps_nothing_and_recovers(
    intake: Intake, db: Database, files: Files, make_arrival: MakeArrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> str:
        raise OutOfResources("store: No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OutOfResources):
        patch.setattr(Files, "keep_arrival", full)
        intake.accept(make_arrival())
    assert db.rows("SELECT * FROM instance") == []
    intake.accept(make_arrival())
    assert standings(db) == ["current"]


def test_open_associations_are_counted_while_they_carry_a_study(
    intake: Intake, db: Database, files: Files, make_arrival: MakeArrival
) -> None:
    arrival = make_arrival()
    intake.opened(arrival.association)
    intake.accept(arrival)
    studies = Studies(db, files)
    assert [one.open_associations for one in studies.receiving()] == [1]
    intake.closed(arrival.association)
    (received,) = studies.receiving()
    assert received.open_associations == 0 and received.association_closed_at is not None


def test_a_full_disk_is_no_reason_to_hang_up(
    intake: Intake, db: Database, files: Files, make_arrival: MakeArrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise OutOfResources("database: SQLITE_FULL")

    arrival = make_arrival()
    with monkeypatch.context() as patch:
        patch.setattr(Studies, "open_association", full)
        intake.opened(arrival.association)
        with pytest.raises(OutOfResources):
            intake.accept(arrival)
    intake.accept(make_arrival())
    assert [one.open_associations for one in Studies(db, files).receiving()] == [1]


def test_associations_left_open_by_a_crash_are_closed_at_start(
    intake: Intake, db: Database, files: Files, make_arrival: MakeArrival
) -> None:
    arrival = make_arrival()
    intake.opened(arrival.association)
    intake.accept(arrival)
    with db.transaction():
        Studies(db, files).clear_associations()
    assert [one.open_associations for one in Studies(db, files).receiving()] == [0]


def test_the_headers_of_a_series_are_kept_once_and_each_instance_keeps_what_differs(
    intake: Intake, db: Database, files: Files, make_arrival: MakeArrival
) -> None:
    for number in (1, 2):
        intake.accept(make_arrival(number))
    study = Studies(db, files).load("1.2.3")
    assert study is not None
    positions = [one.header.values("ImagePositionPatient")[2] for one in study.series[0].instances]
    assert positions == [1.0, 2.0]
    own = db.row("SELECT own FROM instance WHERE sop_instance_uid = '1.2.3.4.2'")
    assert own is not None and "00080060" not in own["own"] and "00200032" in own["own"]


def test_paths_in_the_books_are_relative_so_that_a_store_can_be_moved(
    intake: Intake, db: Database, make_arrival: MakeArrival
) -> None:
    intake.accept(make_arrival())
    row = db.row("SELECT path FROM instance")
    assert row is not None and not Path(row["path"]).is_absolute()
