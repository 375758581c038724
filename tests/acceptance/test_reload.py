"""A running node takes another configuration: nobody is turned away, and what is not valid changes nothing."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from dicomnode.deliver.association import leave_answers
from tests.acceptance.conftest import MakeNode
from tests.acceptance.peers import SEG, SR, CountingPacs, send
from tests.acceptance.phantom import Ct
from tests.acceptance.running import RULE, Node, peer
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance

VERIFICATION = "1.2.840.10008.1.1"

OTHER = RULE.replace('name = "dense"', 'name = "other"')


class Echoes:
    """C-ECHO on a new association every 50 ms, as a monitor that never lets go would do it."""

    def __init__(self, port: int) -> None:
        self.seconds: list[float] = []
        self.failed: list[str] = []
        self._port, self._stop = port, Event()

    @contextmanager
    def going(self) -> Iterator[None]:
        thread = Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            ae = AE(ae_title="ORTHANC")
            ae.add_requested_context(VERIFICATION)
            began = time.perf_counter()
            association = ae.associate("127.0.0.1", self._port, ae_title="DICOMNODE")
            if not association.is_established:
                self.failed.append("no association")
                continue
            status = association.send_c_echo()
            if getattr(status, "Status", None) != 0:
                self.failed.append(f"status {status}")
            association.release()
            self.seconds.append(time.perf_counter() - began)


def test_a_reload_turns_nobody_away_and_open_associations_finish(node: Node, pacs: CountingPacs, ct: Ct) -> None:
    node.start()
    before = {role: node.child(role) for role in ("receive", "work", "deliver")}
    ae = AE(ae_title="ORTHANC")
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", node.port, ae_title="DICOMNODE")
    leave_answers(association)
    answers = [association.send_c_store(dcmread(path)).Status for path in ct.files[:4]]
    echoes = Echoes(node.port)

    with echoes.going():
        eventually(lambda: len(echoes.seconds) >= 3, what="some echoes")
        node.rules = OTHER
        node.configure()
        done = node.command("reload", "--json")
        assert done.returncode == 0, done.stderr
        answers += [association.send_c_store(dcmread(path)).Status for path in ct.files[4:]]
        eventually(lambda: "handed_on" in node.text() and node.text().count("listening ") >= 2, what="the new listener")
        many = len(echoes.seconds)
        eventually(lambda: len(echoes.seconds) >= many + 3, what="some echoes more")
    association.release()

    told = json.loads(done.stdout)
    assert sorted(told["changes"]) == ['rule dense: removed', 'rule other: added (model "toy", outputs ["seg", "sr"],'
                                       ' destinations ["sender"])']  # fmt: skip
    assert echoes.failed == []
    print(f"slowest echo of {len(echoes.seconds)}: {max(echoes.seconds):.3f} s")  # noqa: T201
    assert max(echoes.seconds) < 5
    assert set(answers) == {0}
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR by the new rule")
    assert node.rows("SELECT DISTINCT rule FROM job") == [("other",)]
    node.wait_idle()
    eventually(lambda: all(pid not in node.processes() for pid in before.values()), what="the former processes to end")
    assert {role: node.child(role) for role in before}.keys() == before.keys()
    assert node.rows("SELECT COUNT(*) FROM association") == [(0,)]
    assert node.stop() == 0


def test_a_configuration_that_is_not_valid_changes_nothing_and_every_fault_is_printed(node: Node) -> None:
    node.start()
    before = node.processes()
    node.rules = RULE.replace("Modality", "Modaltiy").replace('"sender"', '"PACK"') + OTHER.replace("toy", "tyo")
    node.configure()

    done = node.command("reload")

    assert done.returncode == 2
    assert "Modality" in done.stderr and "PACS" in done.stderr
    node.rules = OTHER.replace('"toy"', '"absent"')
    node.configure()
    models = node.command("reload")
    assert models.returncode == 2 and "absent" in models.stderr and "toy" in models.stderr
    node.rules, node.port = RULE, node.port + 1
    node.configure()
    port = node.command("reload")
    assert port.returncode == 2 and "restart the node" in port.stderr
    assert node.processes().keys() >= before.keys()
    assert "stands_by=True" not in node.text()


def test_sighup_takes_what_the_file_says_and_a_faulty_file_is_told_of_in_the_log(node: Node) -> None:
    node.start()
    node.rules = OTHER
    node.configure()
    os.kill(node.supervisor, signal.SIGHUP)
    node.says("rule other: added")
    eventually(lambda: "handed_on" in node.text(), what="the listener to make way")
    node.rules = "[[rule"
    node.configure()
    os.kill(node.supervisor, signal.SIGHUP)
    node.says("configuration not taken")
    # A process that is started again gets what was taken, whatever the file says by now.
    receive = node.child("receive")
    os.kill(receive, signal.SIGKILL)
    eventually(lambda: node.text().count("listening ") >= 3, what="another listener")
    assert node.stop() == 0


def test_jobs_that_wait_for_a_rule_that_is_gone_end_with_their_story(
    make_node: MakeNode, pacs: CountingPacs, ct: Ct
) -> None:
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], work={"lease_seconds": 5}).start()
    assert node.command("models", "disable", "toy", "--reason", "on trial").returncode == 0
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: node.rows("SELECT state FROM job") == [("waiting",)], what="a waiting job")
    node.rules = OTHER.replace('"toy"', '"toy"').replace('Modality = "CT"', 'Modality = "MR"')
    node.configure()

    done = node.command("reload")

    assert done.returncode == 0, done.stderr
    assert "rule dense no longer runs: 1 waiting job(s) of it" in done.stdout
    assert node.command("models", "enable", "toy").returncode == 0
    eventually(lambda: node.rows("SELECT state FROM job") == [("cancelled",)], what="the job to end")
    node.wait_idle()
    (study,) = node.rows("SELECT study_instance_uid FROM study")[0]
    assert any("was changed since this job was made" in line["detail"] for line in node.why(study)["story"])
    assert pacs.offers == []


def test_a_supervisor_that_is_killed_in_the_midst_leaves_a_node_that_starts_with_the_new_file(node: Node) -> None:
    node.start()
    node.rules = OTHER
    node.configure()
    os.kill(node.supervisor, signal.SIGHUP)
    node.says("stands_by=True")
    node.kill()
    node.start()
    assert node.command("reload").stdout.strip() == "nothing has changed"
    assert node.stop() == 0


def test_a_new_process_that_is_killed_before_its_turn_leaves_the_node_as_it_was(node: Node) -> None:
    node.start()
    before = node.processes()
    node.rules = OTHER
    node.configure()
    os.kill(node.supervisor, signal.SIGHUP)
    eventually(lambda: set(node.processes()) - set(before), what="new processes")
    heirs: set[int] = set()

    def killed() -> bool:
        # Not what judges the configuration: what would take the place of a process.
        heirs.update(pid for pid, line in node.processes().items() if pid not in before and "--child" in line)
        for pid in heirs:
            os.kill(pid, signal.SIGKILL)
        return bool(heirs)

    eventually(killed, what="a process that stands by")
    node.says("could not be started with it")
    assert {role: node.child(role) for role in ("receive", "work", "deliver")}.items()
    assert set(before) <= set(node.processes())
    assert "rule other: added" not in node.text()
    assert node.stop() == 0
