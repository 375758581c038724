"""What is removed is in the audit trail, whoever is killed meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.flow.audited.read import shown
from dicomnode.flow.retention import give_up as retention_give_up
from dicomnode.flow.retention import room as retention
from dicomnode.flow.retention.room import MakeRoom
from dicomnode.flow.storing import purge as store_purge
from dicomnode.flow.storing.purge import purge
from tests.unit.flow.estate import Estate
from tests.unit.flow.keeping import Keeping


class Killed(BaseException):
    """This process ends here."""


@pytest.fixture
def keeping(estate: Estate, tmp_path: Path) -> Keeping:
    keeping = Keeping(estate, inputs_days=1, results_days=1, high_percent=0)
    audit = keeping.settings.audit.model_copy(
        update={"enabled": True, "folder": str(tmp_path / "audit"), "sync": False}
    )
    keeping.settings = keeping.settings.model_copy(update={"audit": audit})
    keeping.room = MakeRoom(keeping.db, keeping.files, keeping.settings, keeping.disk)
    keeping.done("1.2")
    keeping.later(9)
    return keeping


def told(keeping: Keeping) -> list[dict[str, object]]:
    return [one for one in shown(keeping.settings, 20, "1.2") if one["event"] == "DICOM Study Deleted"]


def die(name: str) -> None:
    if name == "purge.after_commit":
        raise Killed


def test_what_a_kill_kept_from_being_told_is_told_with_the_next_sweep(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(retention_give_up, "failpoint", die)
        patched.setattr(retention, "tell_removals", lambda *_: None)
        with pytest.raises(Killed):
            keeping.room.sweep()
    keeping.room.sweep()
    keeping.room.sweep()
    (one,) = told(keeping)
    assert one["reason"] == "its time is over" and keeping.of("1.2") == 0


def test_a_removal_by_an_operator_whose_command_was_killed_is_told_by_the_node_with_his_name(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "smith")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(store_purge, "failpoint", die)
        purge(keeping.db, keeping.files, keeping.settings, ["1.2"])
    monkeypatch.setenv("LOGNAME", "node")
    keeping.room.sweep()
    (one,) = told(keeping)
    assert one["participants"] == "smith" and one["reason"] == "by an operator"
