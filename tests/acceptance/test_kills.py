"""SIGKILL at every commit: what was acknowledged is there afterwards, and each result has arrived once."""

from __future__ import annotations

import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from dicomnode.flow.failpoint import NAMES, VARIABLE
from tests.acceptance.conftest import MakeNode
from tests.acceptance.peers import REFUSAL, SEG, SR, CountingPacs, data_set_of, send, send_until_acknowledged
from tests.acceptance.phantom import Ct, make_ct
from tests.acceptance.reading import words
from tests.acceptance.running import RULE, Node, peer
from tests.acceptance.waiting import PATIENCE_SECONDS, eventually
from tests.toy import TOML, write_bundle

#: The listener may die between the question whether it is there and pynetdicom's connection, whose socket then leaks.
pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]

#: A working grid so fine that a job of the toy network takes seconds.
SLOW = TOML.replace("spacing_mm = [4.0, 2.0, 2.0]", "spacing_mm = [0.7, 0.7, 0.7]")

#: So slow that a second is over before it ends, which is how often deadlines are looked at.
SLOWER = TOML.replace("spacing_mm = [4.0, 2.0, 2.0]", "spacing_mm = [0.4, 0.4, 0.4]")


#: Folders of the store in which every file has its row.
KEPT = ("studies", "results", "notices")


def assert_nothing_lost(node: Node, files: tuple[Path, ...]) -> None:
    """Every object is in the books and on the disk, byte for byte, and nothing else is."""
    kept = [node.store / path for (path,) in node.rows("SELECT path FROM instance WHERE standing = 'current'")]
    assert sorted(map(data_set_of, kept)) == sorted(map(data_set_of, files))
    rows = {node.store / path for (path,) in node.rows("SELECT path FROM instance UNION SELECT path FROM result")}
    on_disk = {path for kind in KEPT for path in (node.store / kind).rglob("*") if path.is_file()}
    assert on_disk == rows
    assert list((node.store / "incoming").iterdir()) == []


def assert_each_result_once(node: Node, pacs: CountingPacs, offered_twice: int = 0) -> None:
    """One job has made one SEG and one SR, and the PACS holds exactly these."""
    assert node.rows("SELECT state, run, revision FROM job") == [("done", 1, 1)]
    assert node.rows("SELECT DISTINCT state, COUNT(*) FROM delivery GROUP BY state") == [("done", 2)]
    assert_offers_are_the_results(node, pacs)
    assert sorted(ds.SOPClassUID for ds in pacs.of_class(SEG, SR)) == [SEG, SR]
    times = Counter(offer.sop_instance_uid for offer in pacs.offers)
    assert sum(times.values()) <= 2 + offered_twice


def assert_offers_are_the_results(node: Node, pacs: CountingPacs) -> None:
    """The PACS was offered what the books say was made, under each UID always the same bytes."""
    contents: dict[str, set[bytes]] = {}
    for offer in pacs.offers:
        contents.setdefault(offer.sop_instance_uid, set()).add(offer.data)
    assert set(contents) == {uid for (uid,) in node.rows("SELECT sop_instance_uid FROM delivery")}
    assert all(len(content) == 1 for content in contents.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_kill_at_a_commit_loses_no_object_and_doubles_no_result(
    node: Node, pacs: CountingPacs, tmp_path: Path, name: str
) -> None:
    # The images announce their number, so that no half of the study is taken for the whole while the sender retries.
    ct = make_ct(tmp_path / "ct", announced=12)
    marker = tmp_path / "killed"
    node.start({VARIABLE: f"{name}={marker}"})

    send_until_acknowledged(ct.files, node.port)

    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR in the PACS")
    node.wait_idle()
    assert marker.exists()
    assert node.text().count("process died") == 1
    assert_nothing_lost(node, ct.files)
    assert_each_result_once(node, pacs, offered_twice=1 if name == "outbox.before_commit" else 0)


def test_a_kill_of_the_whole_tree_during_a_job_is_made_good_by_the_same_command(
    make_node: MakeNode, pacs: CountingPacs, tmp_path: Path
) -> None:
    slow = tmp_path / "slow-models"
    write_bundle(slow, toml=SLOW)
    node = make_node(models=slow, peers=[peer("PACS", pacs.aet, pacs.port)]).start()
    ct = make_ct(tmp_path / "ct", announced=12)
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: node.rows("SELECT state FROM job") == [("running",)], what="a running job")

    node.kill()

    assert node.rows("SELECT state FROM job") == [("running",)]
    node.start()
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR in the PACS")
    node.wait_idle()
    assert_nothing_lost(node, ct.files)
    assert_each_result_once(node, pacs)
    arrows = [line["arrow"] for line in node.why(ct.study)["story"] if line["entity"] == "job"]
    assert arrows == ["created", "claimed", "retried", "claimed", "finished"]


def test_an_object_that_was_acknowledged_before_a_kill_of_the_whole_tree_is_analysed_after_it(
    node: Node, pacs: CountingPacs, tmp_path: Path
) -> None:
    ct = make_ct(tmp_path / "ct", announced=12)
    node.start()
    assert set(send(ct.files[:7], node.port).values()) == {0}

    node.kill()

    node.start()
    assert set(send(ct.files[7:], node.port).values()) == {0}
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR in the PACS")
    node.wait_idle()
    assert_nothing_lost(node, ct.files)
    assert_each_result_once(node, pacs)


def test_a_node_whose_supervisor_is_killed_ends_by_itself_and_the_same_command_takes_over(
    make_node: MakeNode, pacs: CountingPacs, ct: Ct, tmp_path: Path
) -> None:
    slow = tmp_path / "slow-models"
    write_bundle(slow, toml=SLOW)
    node = make_node(models=slow, peers=[peer("PACS", pacs.aet, pacs.port)]).start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: node.rows("SELECT state FROM job") == [("running",)], what="a running job")
    children = {node.child(role) for role in ("receive", "work", "deliver")}

    (supervisor,) = set(node.processes()) - children
    os.kill(supervisor, signal.SIGKILL)
    assert node.wait() == -signal.SIGKILL
    node.start()

    assert not children & set(node.processes())
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR in the PACS")
    node.wait_idle()
    assert_nothing_lost(node, ct.files)
    assert_each_result_once(node, pacs)


def test_kills_at_arbitrary_moments_of_four_studies_lose_and_double_nothing(
    make_node: MakeNode, pacs: CountingPacs, tmp_path: Path
) -> None:
    archive = peer("PACS", pacs.aet, pacs.port)
    node = make_node(peers=[archive], work={"retry_seconds": 0.2, "threads": 1, "max_attempts": 50}).start()
    studies = [make_ct(tmp_path / f"ct{seed}", seed=seed, announced=12) for seed in range(1, 5)]
    chance = Random(2)

    def send_all() -> None:
        for ct in studies:
            send_until_acknowledged(ct.files, node.port)

    def alive(role: str) -> list[int]:
        return [pid for pid, line in node.processes().items() if f"--only {role} --child" in line]

    def happened() -> int:
        return int(node.rows("SELECT (SELECT COUNT(*) FROM event) + (SELECT COUNT(*) FROM instance)")[0][0])

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_all)
        for _ in range(10):
            moment = happened() + chance.randint(1, 12)
            eventually(lambda moment=moment: happened() >= moment or len(pacs.of_class(SR)) == 4)  # type: ignore[misc]
            role = chance.choice(("receive", "work", "deliver"))
            victim = eventually(lambda role=role: alive(role), what=f"{role} to run")[0]  # type: ignore[misc]
            os.kill(victim, signal.SIGKILL)
            eventually(lambda pid=victim: pid not in node.processes(), what="the killed process to be gone")  # type: ignore[misc]
        sending.result(timeout=PATIENCE_SECONDS)

    eventually(lambda: len(pacs.of_class(SEG, SR)) == 8, what="SEG and SR of four studies")
    node.wait_idle()
    eventually(lambda: node.text().count("process died") == 10, what="ten deaths in the log")
    assert_nothing_lost(node, tuple(file for ct in studies for file in ct.files))
    assert node.rows("SELECT DISTINCT state, run, revision FROM job") == [("done", 1, 1)]
    assert_offers_are_the_results(node, pacs)
    for ct in studies:
        kinds = [ds.SOPClassUID for ds in pacs.of_class(SEG, SR) if ds.StudyInstanceUID == ct.study]
        assert sorted(kinds) == [SEG, SR]


@pytest.mark.parametrize("name", ["overdue.before_commit", "overdue.after_commit"])
def test_a_kill_while_a_missed_deadline_is_told_doubles_nothing_and_leaves_nothing(
    make_node: MakeNode, pacs: CountingPacs, tmp_path: Path, name: str
) -> None:
    write_bundle(tmp_path / "slow", toml=SLOWER)
    rules = RULE.replace('model = "toy"', 'model = "toy"\ndeadline_seconds = 0.1')
    node = make_node(models=tmp_path / "slow", peers=[peer("PACS", pacs.aet, pacs.port)], rules=rules)
    ct = make_ct(tmp_path / "ct", announced=12)
    marker = tmp_path / "killed"
    node.start({VARIABLE: f"{name}={marker}"})
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: pacs.of_class(SR), what="the result")
    node.wait_idle()

    assert marker.exists() and node.text().count("process died") == 1
    told = len(node.rows("SELECT 1 FROM event WHERE arrow = 'overdue'"))
    assert told == 1 or (told == 0 and name == "overdue.before_commit"), "the result may be first after the kill"
    assert len(pacs.of_class(REFUSAL)) <= told and len(pacs.of_class(SEG)) == len(pacs.of_class(SR)) == 1
    assert max(Counter(offer.sop_instance_uid for offer in pacs.offers).values()) == 1
    assert node.rows("SELECT state, run FROM job") == [("done", 1)]

    # What nobody committed is swept once it is old enough to have no writer any more.
    node.stop()
    for path in (node.store / "notices").rglob("*"):
        os.utime(path, (1000, 1000))
    node.start()
    assert_nothing_lost(node, ct.files)


def test_a_job_that_kills_its_process_three_times_ends_in_one_report_that_says_so(
    make_node: MakeNode, pacs: CountingPacs, ct: Ct, tmp_path: Path
) -> None:
    slow = tmp_path / "slow-models"
    write_bundle(slow, toml=SLOW)
    node = make_node(models=slow, peers=[peer("PACS", pacs.aet, pacs.port)]).start()
    assert set(send(ct.files, node.port).values()) == {0}

    for attempt in (1, 2, 3):
        eventually(
            lambda attempt=attempt: node.rows("SELECT state, attempts FROM job") == [("running", attempt)],  # type: ignore[misc]
            what=f"attempt {attempt}",
        )
        os.kill(node.child("work"), signal.SIGKILL)

    eventually(lambda: pacs.of_class(REFUSAL), what="a report that says why")
    node.wait_idle()
    assert len(pacs.offers) == 1
    assert "without a result 3 times" in words(pacs.offers[0].dataset)
    assert node.rows("SELECT state FROM job") == [("failed",)]
