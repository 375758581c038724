"""What is refused because there is too much of it, and that it is taken again when there is less."""

from __future__ import annotations

import pytest

from dicomnode.domain.errors import OutOfResources
from dicomnode.flow.intake import Intake
from dicomnode.flow.pressure import Pressure, Room
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import MakeArrival


def instances(db: Database) -> int:
    row = db.row("SELECT COUNT(*) AS n FROM instance")
    assert row is not None
    return int(row["n"])


def test_a_study_takes_no_more_objects_than_the_limit_and_other_studies_do(
    db: Database, files: Files, make_arrival: MakeArrival
) -> None:
    intake = Intake(db, files, (), room=Room(instances_per_study=2))
    intake.accept(make_arrival(1))
    intake.accept(make_arrival(2))

    with pytest.raises(OutOfResources, match="the study has 2 objects, the limit") as refused:
        intake.accept(make_arrival(3))
    intake.accept(make_arrival(1, study="1.2.9", series="1.2.9.1"))

    assert refused.value.status == 0xA700
    assert instances(db) == 3


def test_what_a_full_study_has_already_is_acknowledged_again(
    db: Database, files: Files, make_arrival: MakeArrival
) -> None:
    intake = Intake(db, files, (), room=Room(instances_per_study=1))
    intake.accept(make_arrival(1))
    intake.accept(make_arrival(1))

    assert instances(db) == 1


def test_a_study_that_was_made_smaller_takes_objects_again(
    db: Database, files: Files, make_arrival: MakeArrival
) -> None:
    intake = Intake(db, files, (), room=Room(instances_per_study=1))
    intake.accept(make_arrival(1))
    with pytest.raises(OutOfResources):
        intake.accept(make_arrival(2))
    db.execute("DELETE FROM instance")

    intake.accept(make_arrival(2))

    assert instances(db) == 1


def test_objects_are_refused_while_too_many_jobs_wait(db: Database, files: Files, make_arrival: MakeArrival) -> None:
    Intake(db, files, ()).accept(make_arrival(1))
    for number in range(2):
        db.execute(
            "INSERT INTO job (study_instance_uid, changed_at, created_at, revision, rule, model, series_instance_uid,"
            " frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs, destinations, refusal,"
            " not_before) VALUES ('1.2.3', '', '', 1, ?, 'm', '', '', '', '', 1, 0, '[]', '[]', '', '')",
            f"rule {number}",
        )

    with pytest.raises(OutOfResources, match="2 jobs are waiting, the limit is 2"):
        Pressure(db, Room(waiting_jobs=2)).require_room("1.2.3")
    Pressure(db, Room(waiting_jobs=3)).require_room("1.2.3")
