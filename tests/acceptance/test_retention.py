"""The installed command makes room on a small disk, survives being killed at it, and comes back from a backup."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomnode.flow.failpoint import RETENTION_NAMES, VARIABLE
from tests.acceptance.conftest import MakeNode
from tests.acceptance.peers import SEG, SR, CountingPacs, send, send_until_acknowledged
from tests.acceptance.phantom import Ct, make_ct
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]

#: Of which the database with its log takes 5, and each study of `SLICES` about 2.
DISK_MIB, SLICES = 64, 200

#: Every disk is fuller than this, so that a study goes as soon as nothing is owed.
AT_ONCE = {"high_percent": 0.0001, "low_percent": 0, "least_hours": 0}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root alone")
    yield folder
    # A killed process lets go of its files only after its name is gone.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def leave_free(folder: Path, free_bytes: int) -> None:
    """Have something else take the disk but for so many bytes."""
    ballast = folder / "ballast"
    ballast.unlink(missing_ok=True)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free - free_bytes)


def files_of(node: Node, ct: Ct) -> int:
    # Unlike rglob, walk takes a folder that goes meanwhile for an empty one.
    return sum(len(files) for kind in ("studies", "results") for _, _, files in os.walk(node.store / kind / ct.study))


def deliveries(node: Node, state: str) -> int:
    return len(node.rows("SELECT 1 FROM delivery WHERE state = ?", state))


def assert_sound(node: Node) -> None:
    """Exactly those files are here that rows say are here, and none is still to go."""
    rows = node.rows(
        "SELECT path FROM instance WHERE purged_at = '' UNION SELECT path FROM result WHERE purged_at = ''"
    )
    lying = [path for kind in ("studies", "results") for path in (node.store / kind).rglob("*") if path.is_file()]
    assert sorted(node.store / path for (path,) in rows) == sorted(lying)
    assert node.rows("SELECT path FROM removal") == []


def test_a_full_disk_loses_its_oldest_finished_study_and_keeps_what_is_owed(
    make_node: MakeNode, pacs: CountingPacs, small_disk: Path, tmp_path: Path
) -> None:
    size = DISK_MIB << 20
    node = make_node(
        peers=[peer("PACS", pacs.aet, pacs.port)], store=small_disk / "store",
        retention={"high_percent": 80, "low_percent": 10, "least_hours": 0, "reserve_percent": 10},
    ).start()  # fmt: skip
    finished, owed, refused = (
        make_ct(tmp_path / name, seed=seed, slices=slices)
        for seed, (name, slices) in enumerate((("finished", SLICES), ("owed", SLICES), ("refused", 5)), start=1)
    )
    assert set(send(finished.files, node.port).values()) == {0}
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="the results of the first study")
    node.wait_idle()
    pacs.stop()
    assert set(send(owed.files, node.port).values()) == {0}
    eventually(
        lambda: node.rows("SELECT COUNT(*) FROM delivery WHERE state = 'waiting'") == [(2,)], what="owed results"
    )
    assert files_of(node, finished) >= SLICES + 2

    leave_free(small_disk, int(0.15 * size))
    eventually(lambda: files_of(node, finished) == 0, what="the finished study to go")

    eventually(lambda: "the disk stays full" in node.text(), what="word of what is kept")
    assert files_of(node, owed) >= SLICES + 2
    assert_sound(node)
    story = node.why(finished.study)["story"]
    assert [line["arrow"] for line in story][-1] == "files removed"
    assert "% of the disk was in use" in story[-1]["detail"]
    listed = json.loads(node.command("store", "list", "--json").stdout)
    assert [(one["study_instance_uid"], one["owes"]) for one in listed] == [(owed.study, ["2 deliveries wait or run"])]

    leave_free(small_disk, int(0.10 * size) - (700 << 10))
    assert set(send(refused.files, node.port).values()) == {0xA700}
    assert "reserve_percent = 10 is kept back" in node.text()

    pacs.start()
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 4, what="the results of the second study")
    eventually(lambda: files_of(node, owed) == 0, what="the second study to go")
    assert set(send(refused.files, node.port).values()) == {0}
    assert len(pacs.offers) == 4


def test_a_full_disk_is_no_obstacle_to_making_room(
    make_node: MakeNode, pacs: CountingPacs, small_disk: Path, tmp_path: Path
) -> None:
    """Somebody else has taken the last byte, so that not even a row can be written beyond what the log holds."""
    node = make_node(
        peers=[peer("PACS", pacs.aet, pacs.port)], store=small_disk / "store",
        retention={"high_percent": 99, "low_percent": 50, "least_hours": 0, "reserve_percent": 0},
    ).start()  # fmt: skip
    ct = make_ct(tmp_path / "ct", slices=SLICES)
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="the results")
    node.wait_idle()

    leave_free(small_disk, 0)
    eventually(lambda: files_of(node, ct) == 0, what="the study to go")

    assert_sound(node)


@pytest.mark.parametrize("name", RETENTION_NAMES)
def test_a_kill_while_files_go_leaves_no_row_without_its_file_and_no_file_behind(
    make_node: MakeNode, pacs: CountingPacs, ct: Ct, tmp_path: Path, name: str
) -> None:
    marker = tmp_path / "killed"
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], retention=AT_ONCE)
    node.start({VARIABLE: f"{name}={marker}"})
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR in the PACS")

    eventually(lambda: marker.exists() and files_of(node, ct) == 0, what="a kill, and the files to be gone")
    eventually(lambda: not node.rows("SELECT path FROM removal"), what="the removal to be in the books")

    eventually(lambda: node.text().count("process died") == 1, what="word of the kill")
    assert_sound(node)
    assert [line["arrow"] for line in node.why(ct.study)["story"]].count("files removed") == 1
    # What comes again is kept until it has settled, and not analysed again.
    send_until_acknowledged(ct.files, node.port)
    eventually(lambda: node.rows("SELECT revision, state FROM study") == [(2, "settled")], what="a second settling")
    node.wait_idle()
    assert node.rows("SELECT state FROM job") == [("done",)]
    assert len(pacs.offers) == 2


def test_a_restored_backup_sends_nothing_under_new_uids_and_doubles_nothing(
    make_node: MakeNode, pacs: CountingPacs, tmp_path: Path
) -> None:
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)]).start()
    done, waiting, later = (make_ct(tmp_path / f"ct{seed}", seed=seed) for seed in (1, 2, 3))
    send_until_acknowledged(done.files, node.port)
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="results of the first study")
    node.wait_idle()
    pacs.stop()
    send_until_acknowledged(waiting.files, node.port)
    eventually(
        lambda: node.rows("SELECT COUNT(*) FROM delivery WHERE state = 'waiting'") == [(2,)], what="owed results"
    )
    backup = tmp_path / "backup"
    assert node.command("store", "backup", str(backup)).returncode == 0
    pacs.start()
    send_until_acknowledged(later.files, node.port)
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 6, what="results of all")
    node.wait_idle()
    before = {offer.sop_instance_uid: offer.data for offer in pacs.offers}
    assert node.stop() == 0

    shutil.rmtree(node.store)
    shutil.copytree(backup, node.store)
    node.start()
    send_until_acknowledged(later.files, node.port)
    eventually(lambda: deliveries(node, "done") == 6, what="all to be sent")
    node.wait_idle()

    assert {offer.sop_instance_uid for offer in pacs.offers} == set(before)
    again = [offer for offer in pacs.offers[6:] if str(offer.dataset.StudyInstanceUID) == waiting.study]
    assert len(again) == 2 and all(offer.data == before[offer.sop_instance_uid] for offer in again)
    verified = node.command("store", "verify")
    assert verified.returncode == 0, verified.stdout
    assert "0 are not as they should be" in verified.stdout


def test_the_command_lists_removes_and_verifies(make_node: MakeNode, pacs: CountingPacs, ct: Ct) -> None:
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)]).start()
    send_until_acknowledged(ct.files, node.port)
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR in the PACS")
    node.wait_idle()

    assert "1 studies" in node.command("store", "list").stdout
    damaged = next((node.store / "studies" / ct.study).iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    verified = node.command("store", "verify")
    assert verified.returncode == 1 and f"changed studies/{ct.study}/{damaged.name}" in verified.stdout
    would = node.command("store", "purge", ct.study, "--dry-run")
    assert would.returncode == 0 and "would be removed" in would.stdout and files_of(node, ct) >= 14
    assert node.command("store", "purge", ct.study).returncode == 0
    assert files_of(node, ct) == 0
    assert node.command("store", "purge", ct.study).returncode == 1
    assert node.command("store", "purge").returncode == 2
    assert node.command("rerun", ct.study).returncode == 1
    # What takes results back needs neither the images nor the results.
    withdrawn = node.command("retract", ct.study, "--reason", "a test")
    assert withdrawn.returncode == 0, withdrawn.stderr
    eventually(lambda: len(pacs.offers) > 2, what="the withdrawal")
