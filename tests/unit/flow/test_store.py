"""What operators do to the store: remove by hand, read all files again, copy it while it is used."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomnode.config import parse
from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.intake import Intake
from dicomnode.flow.retention.removal import remove_given_up
from dicomnode.flow.retract import retract
from dicomnode.flow.storing.backup import backup
from dicomnode.flow.storing.purge import age, listing, purge
from dicomnode.flow.storing.verify import Damage, verify
from dicomnode.report.rejection import TITLES
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.holdings import Holdings
from dicomnode.store.retention import Retention
from tests.unit.flow.conftest import MakeStudy
from tests.unit.flow.estate import Estate
from tests.unit.flow.keeping import Keeping


def unheard(_stage: str, _done: int, _total: int) -> None:
    """Nobody watches."""


@pytest.fixture
def keeping(estate: Estate) -> Keeping:
    return Keeping(estate, high_percent=0)


def test_the_list_tells_size_age_and_what_is_owed(keeping: Keeping) -> None:
    keeping.done("1.2")
    keeping.later(2)
    keeping.done("1.3", answer="waiting")

    old, new = listing(keeping.db, keeping.settings)

    assert (old.study_instance_uid, old.state, old.objects, old.results, old.rules) == ("1.2", "settled", 2, 1, ("r",))
    assert old.size_bytes == sum(path.stat().st_size for path in keeping.lying() if path.parent.name == "1.2")
    assert old.owes == () and new.owes == ("1 deliveries wait or run",)
    assert old.inputs_since is not None and (keeping.db.clock() - old.inputs_since).days == 2


def test_what_is_owed_is_not_purged_without_a_reason_and_with_one_the_story_has_it(keeping: Keeping) -> None:
    keeping.done("1.2", answer="waiting")
    (refused,) = purge(keeping.db, keeping.files, keeping.settings, ["1.2"])
    assert refused.refused == "1 deliveries wait or run" and keeping.of("1.2") == 3

    (done,) = purge(keeping.db, keeping.files, keeping.settings, ["1.2"], reason="sent by hand")

    assert done.freed.files == 3 and keeping.of("1.2") == 0 and keeping.sound()
    assert [row["state"] for row in keeping.db.rows("SELECT state FROM delivery")] == ["cancelled"]
    assert "although 1 deliveries wait or run: sent by hand" in keeping.events("1.2")[-1][1]


def test_a_receiving_study_is_closed_when_it_is_purged_and_begins_anew_when_it_comes_again(keeping: Keeping) -> None:
    keeping.send_again("1.2")
    keeping.db.execute("DELETE FROM association")
    assert purge(keeping.db, keeping.files, keeping.settings, ["1.2"])[0].refused == "is receiving"
    purge(keeping.db, keeping.files, keeping.settings, ["1.2"], reason="wrong patient")
    assert keeping.lying() == []
    keeping.send_again("1.2")
    assert keeping.sound() and keeping.of("1.2") == 2
    row = keeping.db.row("SELECT state, revision FROM study")
    assert row is not None and tuple(row) == ("receiving", 2)


def test_what_is_going_on_is_not_called_off(keeping: Keeping) -> None:
    keeping.done("1.2", answer="waiting")
    keeping.db.execute("UPDATE delivery SET state = 'running'")
    (refused,) = purge(keeping.db, keeping.files, keeping.settings, ["1.2"], reason="now")
    assert refused.refused == "1 deliveries run" and keeping.of("1.2") == 3


def test_what_takes_results_back_is_not_called_off(keeping: Keeping) -> None:
    keeping.done("1.2")
    retract(keeping.db, keeping.files, keeping.settings, "1.2", "wrong side", next(iter(TITLES)))
    before = [row["state"] for row in keeping.db.rows("SELECT state FROM delivery ORDER BY delivery_id")]
    (refused,) = purge(keeping.db, keeping.files, keeping.settings, ["1.2"], reason="the disk is full")
    assert "withdrawals wait" in refused.refused
    assert [row["state"] for row in keeping.db.rows("SELECT state FROM delivery ORDER BY delivery_id")] == before

    keeping.db.execute("UPDATE delivery SET state = 'running' WHERE state = 'waiting'")
    keeping.db.execute("UPDATE delivery SET state = 'done' WHERE state = 'running'")
    assert purge(keeping.db, keeping.files, keeping.settings, ["1.2"], reason="the disk is full")[0].refused == ""


def test_older_than_takes_what_is_older_and_skips_what_is_owed(keeping: Keeping) -> None:
    keeping.done("1.2")
    keeping.done("1.3", answer="waiting")
    keeping.later(31)
    keeping.done("1.4")

    would = purge(keeping.db, keeping.files, keeping.settings, [], older_than=age("30d"), dry_run=True)
    told = [(one.study_instance_uid, one.refused) for one in would]
    assert told == [("1.2", ""), ("1.3", "1 deliveries wait or run")]
    assert would[0].freed.files == 3 and keeping.of("1.2") == 3

    purge(keeping.db, keeping.files, keeping.settings, [], older_than=age("30d"))
    assert [keeping.of(study) for study in ("1.2", "1.3", "1.4")] == [0, 3, 3]


@pytest.mark.parametrize("text", ["", "d", "30", "-3d", "3 days", "1.5d"])
def test_an_age_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(DicomNodeError, match="needed a number and h, d or w"):
        age(text)


@pytest.fixture
def received(
    db: Database, files: Files, ct: MakeStudy, receive: Callable[[Intake, list[Path]], None]
) -> dict[str, Path]:
    """Real files of a study, by the end of their SOP Instance UID."""
    receive(Intake(db, files, ()), ct())
    rows = db.rows("SELECT sop_instance_uid, path FROM instance")
    return {row["sop_instance_uid"].rsplit(".", 1)[1]: files.path(row["path"]) for row in rows}


def test_a_sound_store_verifies(db: Database, files: Files, received: dict[str, Path]) -> None:
    heard = []
    found = verify(db, files, lambda stage, done, total: heard.append((stage, done, total)))
    assert (found.files, found.damaged) == (10, ())
    assert found.size_bytes == sum(path.stat().st_size for path in received.values())
    assert heard[-1] == ("files", 10, 10)


def test_missing_changed_and_stray_files_are_told_with_what_to_do(
    db: Database, files: Files, received: dict[str, Path]
) -> None:
    received["1"].unlink()
    data = bytearray(received["2"].read_bytes())
    data[-1] ^= 1
    received["2"].write_bytes(data)
    received["3"].write_bytes(b"short")
    stray = received["4"].with_name("1.2.3.4.11.abc")
    stray.write_bytes(b"left")
    young = files.incoming / "arriving"
    young.write_bytes(b"on its way")
    os.utime(stray, (0, 0))

    damaged = verify(db, files, unheard).damaged

    assert [(one.damage, files.path(one.path)) for one in damaged] == [
        (Damage.MISSING, received["1"]), (Damage.CHANGED, received["2"]), (Damage.CHANGED, received["3"]),
        (Damage.STRAY, stray),
    ]  # fmt: skip
    assert "dicomnode store purge 1.2.3" in damaged[0].remedy


def test_strays_are_looked_for_with_one_look_at_the_rows_of_a_study(
    db: Database, files: Files, received: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    expected = Holdings.expected

    def counted(holdings: Holdings, kind: str, study: str) -> set[str]:
        looks.append(f"{kind}/{study}")
        return expected(holdings, kind, study)

    monkeypatch.setattr(Holdings, "expected", counted)
    assert list(Holdings(db, files).strays(float("inf"))) == []
    assert looks == ["studies/1.2.3"] and len(received) == 10


def test_after_the_remedy_a_damaged_study_is_whole_again(
    db: Database, files: Files, received: dict[str, Path], ct: MakeStudy, receive: Callable[[Intake, list[Path]], None]
) -> None:
    received["1"].unlink()
    received["2"].write_bytes(b"x")
    db.execute("DELETE FROM association")
    purge(db, files, parse({"store": {"folder": str(files.folder)}}), ["1.2.3"], reason="a file is damaged")
    receive(Intake(db, files, ()), ct())
    assert verify(db, files, unheard).damaged == ()
    assert len(list((files.folder / "studies" / "1.2.3").iterdir())) == 10


def test_a_file_that_goes_while_all_are_read_is_not_missing(
    db: Database, files: Files, received: dict[str, Path]
) -> None:
    def purge_at_the_first(_stage: str, done: int, _total: int) -> None:
        if done == 1:
            with db.transaction():
                Retention(db).purge("1.2.3", "test", inputs=True, results=False)
            remove_given_up(db, files)

    assert verify(db, files, purge_at_the_first).damaged == ()


def copy_of(target: Path, to: Path) -> tuple[Database, Files]:
    """The store that a backup restores to."""
    shutil.copytree(target, to)
    return Database(to / "node.db"), Files(to)


def test_a_backup_is_a_sound_store_and_a_second_one_copies_only_what_is_new(keeping: Keeping, tmp_path: Path) -> None:
    keeping.done("1.2")
    target = tmp_path / "backup"
    first = backup(keeping.db, keeping.files, target, unheard)
    assert (first.copied, first.had, first.dropped, first.missing) == (3, 0, 0, 0)

    keeping.done("1.3")
    second = backup(keeping.db, keeping.files, target, unheard)
    assert (second.copied, second.had, second.dropped) == (3, 3, 0)

    purge(keeping.db, keeping.files, keeping.settings, ["1.2"])
    third = backup(keeping.db, keeping.files, target, unheard)
    assert (third.copied, third.had, third.dropped) == (0, 3, 3)

    db, files = copy_of(target, tmp_path / "restored")
    rows = {row["path"] for row in db.rows("SELECT path FROM instance WHERE purged_at = '' UNION"
                                           " SELECT path FROM result WHERE purged_at = ''")}  # fmt: skip
    assert rows == {str(path.relative_to(files.folder)) for path in files.lying()}
    assert [row["state"] for row in db.rows("SELECT state FROM delivery")] == ["done", "done"]
    assert oct(target.stat().st_mode)[-3:] == "700"
    db.close()


def test_what_comes_and_goes_while_a_backup_is_made_leaves_it_whole(keeping: Keeping, tmp_path: Path) -> None:
    keeping.done("1.2")
    keeping.done("1.3")
    acted = []

    def busy(stage: str, _done: int, _total: int) -> None:
        if stage in acted:
            return
        acted.append(stage)
        purge(keeping.db, keeping.files, keeping.settings, ["1.2"] if stage == "files" else ["1.3"])
        keeping.send_again(f"1.{7 + len(acted)}")

    backup(keeping.db, keeping.files, tmp_path / "backup", busy)

    assert acted == ["files", "files since"]
    db, files = copy_of(tmp_path / "backup", tmp_path / "restored")
    rows = {row["path"] for row in db.rows("SELECT path FROM instance WHERE purged_at = '' UNION"
                                           " SELECT path FROM result WHERE purged_at = ''")}  # fmt: skip
    assert rows <= {str(path.relative_to(files.folder)) for path in files.lying()}
    assert {path.split("/")[1] for path in rows} == {"1.3", "1.8"}
    db.close()
    # What was held in its place goes afterwards.
    keeping.room.sweep()
    assert keeping.of("1.3") == 0 and keeping.sound()


def test_a_backup_that_dies_leaves_the_one_before_whole(keeping: Keeping, tmp_path: Path) -> None:
    keeping.done("1.2")
    target = tmp_path / "backup"
    backup(keeping.db, keeping.files, target, unheard)
    purge(keeping.db, keeping.files, keeping.settings, ["1.2"])
    keeping.done("1.3")

    def dies(stage: str, _done: int, _total: int) -> None:
        if stage == "files since":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(keeping.db, keeping.files, target, dies)
    db, files = copy_of(target, tmp_path / "restored")
    rows = [row["path"] for row in db.rows("SELECT path FROM instance WHERE purged_at = ''")]
    assert len(rows) == 2 and all(files.path(path).is_file() for path in rows)
    db.close()
    assert backup(keeping.db, keeping.files, target, unheard).dropped == 3


def test_a_file_that_the_store_has_lost_is_told_by_a_backup(keeping: Keeping, tmp_path: Path) -> None:
    keeping.done("1.2")
    keeping.lying()[0].unlink()
    assert backup(keeping.db, keeping.files, tmp_path / "backup", unheard).missing == 1


def test_a_backup_into_the_store_is_refused(keeping: Keeping) -> None:
    with pytest.raises(DicomNodeError, match="name a folder outside"):
        backup(keeping.db, keeping.files, keeping.files.folder / "backup", unheard)
