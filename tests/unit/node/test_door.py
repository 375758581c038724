"""Callers are let in from the first moment; what they bring is taken once there is somewhere to keep it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.domain.commitment import Report
from dicomnode.domain.errors import OutOfResources
from dicomnode.domain.network import Association
from dicomnode.flow.intake import Intake
from dicomnode.node.door import Door, LateDesk
from dicomnode.receive.answer import answer
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import MakeArrival


def association(name: str) -> Association:
    return Association(
        association_id=name, calling_aet="PACS", called_aet="DICOMNODE", address="127.0.0.1", peer="PACS"
    )


def open_ones(db: Database) -> set[str]:
    return {row["association_id"] for row in db.rows("SELECT association_id FROM association")}


def test_an_object_that_comes_too_early_is_to_be_sent_again(make_arrival: MakeArrival) -> None:
    door = Door()
    door.opened(association("a1"))
    with pytest.raises(OutOfResources) as refused:
        door.accept(make_arrival(1))
    assert answer(refused.value).status == 0xA700


def test_an_association_that_was_open_before_the_store_is_noted_when_the_door_opens(
    db: Database, files: Files, make_arrival: MakeArrival
) -> None:
    door = Door()
    for name in ("a1", "a2"):
        door.opened(association(name))
    door.closed(association("a2"))
    door.open(Intake(db, files, ()))
    assert open_ones(db) == {"a1"}, "or the study would settle while its sender is still at it"
    door.accept(make_arrival(1))
    door.opened(association("a3"))
    door.closed(association("a1"))
    assert open_ones(db) == {"a3"}
    assert db.rows("SELECT 1 FROM instance")


def test_a_desk_that_is_not_there_yet_has_no_role_for_anybody(tmp_path: Path) -> None:
    late = LateDesk()
    assert late.roles("PACS") == (False, False)
    with pytest.raises(OutOfResources):
        late.reported(association("a1"), Report(transaction_uid="1.2"))
