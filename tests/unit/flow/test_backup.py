"""A backup touches nothing that is not its own, and is the store of one moment whatever lies there before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dicomnode.audit.event import Source
from dicomnode.audit.file import Trail
from dicomnode.audit.message import application, this_process
from dicomnode.audit.verify import verify as verify_trail
from dicomnode.domain.clock import utc_now
from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.storing.backup import backup
from dicomnode.node.recover import sweep
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.unit.flow.estate import Estate
from tests.unit.flow.keeping import Keeping

#: What somebody runs on a database who is killed before the log is moved into it.
_KILLED = """
import os, sys
from pathlib import Path
from dicomnode.store.database import Database
db = Database(Path(sys.argv[1]))
with db.transaction():
    db.execute("INSERT INTO disabled_model VALUES ('m', '', '')")
os._exit(9)
"""


def unheard(_stage: str, _done: int, _total: int) -> None:
    """Nobody watches."""


@pytest.fixture
def keeping(estate: Estate) -> Keeping:
    return Keeping(estate, high_percent=0)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def studies(path: Path) -> list[str]:
    db = Database(path)
    found = [row[0] for row in db.rows("SELECT study_instance_uid FROM study ORDER BY 1")]
    db.close()
    return found


@pytest.mark.parametrize("name", ["results/2026.xlsx", "studies/thesis/chapter1.tex", "incoming/x", "node.db", "notes"])
def test_a_folder_with_something_else_in_it_is_refused_and_left_as_it_is(
    keeping: Keeping, tmp_path: Path, name: str
) -> None:
    keeping.done("1.2")
    target = tmp_path / "mnt"
    (target / name).parent.mkdir(parents=True)
    (target / name).write_text("mine")

    with pytest.raises(DicomNodeError, match="is no backup; name an empty folder"):
        backup(keeping.db, keeping.files, target, unheard)

    assert content(target) == {name: b"mine"}


def test_the_store_of_another_node_is_refused(keeping: Keeping, tmp_path: Path) -> None:
    other = Files(tmp_path / "node2")
    Database(other.folder / "node.db").close()
    kept = other.folder / "studies" / "9.9" / "9.9.1.abc"
    kept.parent.mkdir()
    kept.write_text("acknowledged")
    with pytest.raises(DicomNodeError, match="is no backup"):
        backup(keeping.db, keeping.files, other.folder, unheard)
    assert kept.read_text() == "acknowledged"


def test_the_backup_of_another_store_is_refused(keeping: Keeping, tmp_path: Path) -> None:
    keeping.done("1.2")
    files = Files(tmp_path / "node2")
    db = Database(files.folder / "node.db")
    backup(db, files, tmp_path / "backup", unheard)
    before = content(tmp_path / "backup")
    with pytest.raises(DicomNodeError, match="is the backup of another store"):
        backup(keeping.db, keeping.files, tmp_path / "backup", unheard)
    assert content(tmp_path / "backup") == before
    db.close()


def test_a_backup_that_has_become_a_store_is_refused(keeping: Keeping, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    backup(keeping.db, keeping.files, target, unheard)
    (target / "receive.lock").touch()
    with pytest.raises(DicomNodeError, match=r"receive\.lock.*used as a store"):
        backup(keeping.db, keeping.files, target, unheard)


def test_a_new_file_system_is_empty(keeping: Keeping, tmp_path: Path) -> None:
    (tmp_path / "mnt" / "lost+found").mkdir(parents=True)
    keeping.done("1.2")
    assert backup(keeping.db, keeping.files, tmp_path / "mnt", unheard).copied == 3


def test_what_somebody_puts_into_a_backup_later_stays(keeping: Keeping, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    keeping.done("1.2")
    backup(keeping.db, keeping.files, target, unheard)
    ours = target / "studies" / "1.2" / f"1.2.77.{'a' * 64}"
    half = ours.with_name(f".{ours.name}.part")
    mine = [target / "studies" / "1.2" / "why.txt", target / "results" / "table.xlsx", target / "readme"]
    for path in (ours, half, *mine):
        path.write_text("x")

    assert backup(keeping.db, keeping.files, target, unheard).dropped == 2

    assert not ours.exists() and not half.exists()
    assert all(path.exists() for path in mine)


@pytest.mark.parametrize("name", ["node.db", "node.db.part"])
def test_the_log_of_a_process_that_was_killed_on_a_backup_is_not_played_over_the_next(
    keeping: Keeping, tmp_path: Path, name: str
) -> None:
    target = tmp_path / "backup"
    keeping.done("1.2")
    backup(keeping.db, keeping.files, target, unheard)
    (target / "node.db.part").write_bytes((target / "node.db").read_bytes())
    command = [sys.executable, "-c", _KILLED, str(target / name)]
    assert subprocess.run(command, check=False, cwd=Path(__file__).parents[3]).returncode == 9
    assert (target / f"{name}-wal").stat().st_size > 0
    for study in ("1.3", "1.4", "1.5"):
        keeping.done(study)

    backup(keeping.db, keeping.files, target, unheard)

    assert studies(target / "node.db") == ["1.2", "1.3", "1.4", "1.5"]
    db = Database(target / "node.db")
    assert db.row("SELECT * FROM disabled_model") is None
    db.close()


def test_the_audit_trail_is_copied_and_what_it_has_become_since(keeping: Keeping, tmp_path: Path) -> None:
    trail = Trail(tmp_path / "audit", Source(id="N"), utc_now, limit_bytes=3000, sync=False)
    target = tmp_path / "backup"
    for _again in range(2):
        for _number in range(5):
            trail.record(application(this_process(["N"]), started=True))
        backup(keeping.db, keeping.files, target, unheard, tmp_path / "audit")
        assert content(target / "audit") == content(tmp_path / "audit")
    assert len(content(target / "audit")) > 3
    assert verify_trail(target / "audit").faults == ()
    assert not any(path.name.endswith(".part") for path in (target / "audit").iterdir())


def test_what_a_backup_holds_is_not_swept_when_the_receiving_process_dies(keeping: Keeping, tmp_path: Path) -> None:
    keeping.done("1.2")
    keeping.configure(inputs_days=1, results_days=1, high_percent=0)
    keeping.later(9)

    def dies(stage: str, done: int, _total: int) -> None:
        if stage == "files since" and done == 1:
            keeping.room.sweep()
            sweep(keeping.db, keeping.files, ["receive", "work"], 0.0)

    done = backup(keeping.db, keeping.files, tmp_path / "backup", dies)

    assert done.missing == 0 and keeping.of("1.2") == 3
    keeping.room.sweep()
    assert keeping.lying() == []
