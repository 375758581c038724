"""Starting, draining, a second node on one store, a PACS that is away and a disk that is full."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from dicomnode.deliver.association import leave_answers
from tests.acceptance.conftest import MakeNode
from tests.acceptance.peers import SEG, SR, CountingPacs, listens, send
from tests.acceptance.phantom import Ct
from tests.acceptance.running import RULE, Node, peer
from tests.acceptance.test_kills import SLOW
from tests.acceptance.waiting import eventually, free_port
from tests.toy import write_bundle

pytestmark = pytest.mark.acceptance


def test_sigterm_lets_an_open_association_finish_and_leaves_no_process(node: Node, pacs: CountingPacs, ct: Ct) -> None:
    node.start()
    ae = AE(ae_title="ORTHANC")
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", node.port, ae_title="DICOMNODE")
    leave_answers(association)
    answers = [association.send_c_store(dcmread(path)).Status for path in ct.files[:4]]

    node.terminate()
    # The node no longer listens, so the drain has begun.
    eventually(lambda: not listens(node.port), what="the port to close")
    answers += [association.send_c_store(dcmread(path)).Status for path in ct.files[4:]]
    association.release()

    assert node.wait() == 0
    assert node.processes() == {}
    assert set(answers) == {0}
    assert node.rows("SELECT COUNT(*) FROM instance") == [(12,)]
    node.start()
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR after the restart")


def test_sigterm_lets_a_running_job_finish(make_node: MakeNode, pacs: CountingPacs, ct: Ct, tmp_path: Path) -> None:
    write_bundle(tmp_path / "slow", toml=SLOW)
    archive = peer("PACS", pacs.aet, pacs.port)
    node = make_node(models=tmp_path / "slow", peers=[archive], node={"drain_seconds": 50}).start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: node.rows("SELECT state FROM job") == [("running",)], what="a running job")

    assert node.stop() == 0

    assert node.processes() == {}
    assert node.rows("SELECT state, attempts FROM job") == [("done", 1)]
    node.start()
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR after the restart")
    node.wait_idle()
    assert len(pacs.offers) == 2


def test_a_second_node_on_the_same_store_fails_and_says_why(make_node: MakeNode, pacs: CountingPacs) -> None:
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], node={"drain_seconds": 0.5}).start()

    second = node.command("run")

    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert str(node.store) in second.stderr
    assert node.command("check").returncode in (0, 3)
    assert node.stop() == 0


def test_a_node_whose_port_is_taken_says_so_and_ends_instead_of_trying_for_ever(
    make_node: MakeNode, pacs: CountingPacs
) -> None:
    node = make_node(port=pacs.port)

    ended = node.command("run")

    # Not 2, after which systemd would not try again; whatever has the port may let go of it.
    assert ended.returncode == 1
    assert f"node.port = '127.0.0.1:{pacs.port}': cannot listen there: Address already in use" in ended.stderr
    assert "process started" not in ended.stderr
    assert node.processes() == {}


def test_results_wait_for_a_pacs_that_is_away_and_it_is_not_called_all_the_time(
    make_node: MakeNode, pacs: CountingPacs, ct: Ct
) -> None:
    pacs.stop()
    archive = peer("PACS", pacs.aet, pacs.port)
    node = make_node(peers=[archive], deliver={"first_retry_seconds": 2, "longest_retry_seconds": 4}).start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: node.rows("SELECT 1 FROM backoff WHERE failures >= 2"), what="two failed tries")
    status = node.status()
    assert status["deliveries"] == {"waiting": 2}
    assert [one["peer"] for one in status["backing_off"]] == ["PACS"]

    pacs.start()

    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR")
    node.wait_idle()
    assert len(pacs.offers) == 2
    assert node.rows("SELECT COUNT(*) FROM backoff") == [(0,)]
    assert node.text().count("peer unreachable") <= 4


def test_a_peer_that_is_away_holds_up_no_other_and_a_peer_named_twice_gets_results_once(
    make_node: MakeNode, pacs: CountingPacs, ct: Ct
) -> None:
    rules = RULE.replace('["sender"]', '["AWAY", "sender", "PACS"]')
    peers = [peer("PACS", pacs.aet, pacs.port), peer("AWAY", "AWAY", free_port())]
    node = make_node(peers=peers, rules=rules).start()

    assert set(send(ct.files, node.port).values()) == {0}

    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR")
    owed = "SELECT destination FROM delivery WHERE state <> 'done'"
    eventually(lambda: node.rows(owed) == [("AWAY",)] * 2, what="only the deliveries to AWAY open")
    assert len(pacs.offers) == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here; needs root and CAP_SYS_ADMIN")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_told_with_a700_and_the_same_study_succeeds_when_there_is_room(
    small_disk: Path, make_node: MakeNode, pacs: CountingPacs, ct: Ct
) -> None:
    node = make_node(store=small_disk / "store", peers=[peer("PACS", pacs.aet, pacs.port)]).start()
    filler = small_disk / "filler"
    _fill(filler)

    answers = send(ct.files, node.port)

    assert set(answers.values()) == {0xA700}
    assert node.rows("SELECT COUNT(*) FROM instance") == [(0,)]
    filler.unlink()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR")
    node.wait_idle()
    assert len(pacs.offers) == 2
    assert list((node.store / "incoming").iterdir()) == []
    assert "process died" not in node.text()


def test_a_disk_that_fills_after_the_study_has_come_only_delays_its_results(
    small_disk: Path, make_node: MakeNode, pacs: CountingPacs, ct: Ct, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "slow", toml=SLOW)
    archive = peer("PACS", pacs.aet, pacs.port)
    node = make_node(store=small_disk / "store", models=tmp_path / "slow", peers=[archive]).start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: node.rows("SELECT state FROM job") == [("running",)], what="a running job")
    filler = small_disk / "filler"
    _fill(filler)
    eventually(lambda: "job put off" in node.text() or "verdict not written" in node.text(), what="the job to fail")

    filler.unlink()

    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, 120, "SEG and SR")
    node.wait_idle()
    assert node.rows("SELECT state FROM job") == [("done",)]
    assert len(pacs.offers) == 2


def _fill(file: Path) -> None:
    """Write until nothing more goes on the disk."""
    with suppress(OSError), file.open("wb", buffering=0) as stream:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    stream.write(b"\1" * size)
