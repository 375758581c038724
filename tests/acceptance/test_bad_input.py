"""What the node is given that it cannot or may not take, and how it lives on."""

from __future__ import annotations

import re
import socket
from time import monotonic

import numpy as np
import pytest
from pydicom import dcmread

from tests.acceptance.conftest import DcmSend, MakeNode
from tests.acceptance.peers import REFUSAL, SEG, SR, CountingPacs, data_set_of, listens, send, send_raw
from tests.acceptance.phantom import PATIENT_ID, PATIENT_NAME, Ct
from tests.acceptance.reading import mask_on
from tests.acceptance.running import RULE, Node, peer
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance


def assert_still_works(node: Node, pacs: CountingPacs, ct: Ct) -> None:
    """A good study goes through as if nothing had happened."""
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR")
    assert np.array_equal(mask_on(pacs.of_class(SEG)[0], ct), ct.ball)
    assert "process died" not in node.text()


def test_an_unknown_sender_is_rejected_and_admitted_by_the_lines_that_the_log_prints(
    node: Node, dcmsend: DcmSend, ct: Ct
) -> None:
    node.start()
    turned_away = dcmsend(ct.folder, port=node.port, calling="STRANGER")
    assert turned_away.returncode != 0
    assert "Association Rejected" in turned_away.stderr
    log = node.says("[[peer]]")
    assert node.stop() == 0

    lines = re.search(r"^\[\[peer\]\]$(\n^\w+ = .*$)+", log, re.MULTILINE)
    assert lines, "the lines stand in the log as they have to stand in the configuration"
    node.peers.append(lines[0])
    node.configure()
    node.start()

    admitted = dcmsend(ct.folder, port=node.port, calling="STRANGER")
    assert admitted.returncode == 0
    assert node.rows("SELECT COUNT(*) FROM instance") == [(12,)]
    assert node.rows("SELECT peer FROM study") == [("STRANGER",)]


def test_one_setting_admits_every_sender_and_results_go_to_the_named_peer(
    make_node: MakeNode, pacs: CountingPacs, dcmsend: DcmSend, ct: Ct
) -> None:
    rules = RULE.replace('["sender"]', '["sender", "PACS"]')
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], rules=rules, node={"accept_unknown": True}).start()

    assert dcmsend(ct.folder, port=node.port, calling="STRANGER").returncode == 0

    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR")
    assert "no peer entry names STRANGER" in node.command("why", ct.study).stdout


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_patient_attributes_that_break_the_standard_reach_a_report_but_no_log(
    make_node: MakeNode, pacs: CountingPacs, ct: Ct, form: str
) -> None:
    for path in ct.files:
        ds = dcmread(path)
        ds.PatientName = "^".join([PATIENT_NAME] * 9)
        ds.PatientID = " ".join([PATIENT_ID] * 9)
        ds.AccessionNumber = PATIENT_ID * 3
        ds.add_new("PatientBirthDate", "DA", f"{PATIENT_ID} 1901")
        ds.add_new("PatientSex", "CS", PATIENT_NAME)
        ds.add_new("PatientAge", "AS", PATIENT_ID)
        ds.PatientWeight = "123456789"
        ds.save_as(path)
        # pydicom would not write a word where a number belongs.
        path.write_bytes(path.read_bytes().replace(b"123456789", PATIENT_ID.encode()))
    archive = peer("PACS", pacs.aet, pacs.port)
    node = make_node(peers=[archive], log={"level": "debug", "format": form}).start()

    assert set(send(ct.files, node.port).values()) == {0}

    eventually(lambda: pacs.of_class(SR, REFUSAL), what="a report of either kind")
    node.wait_idle()
    assert "process died" not in node.text()
    assert node.command("why", ct.study).returncode == 0


def test_a_wrong_called_title_is_rejected_and_nothing_is_kept(node: Node, dcmsend: DcmSend, ct: Ct) -> None:
    node.start()

    sent = dcmsend(ct.folder, port=node.port, called="SOMEBODY")

    assert sent.returncode != 0
    assert "Association Rejected" in sent.stderr
    assert "this node answers to DICOMNODE" in node.says("called AE title 'SOMEBODY'")
    assert node.rows("SELECT COUNT(*) FROM instance") == [(0,)]


def test_connections_that_ask_for_nothing_take_no_place_and_do_not_hold_up_the_end(
    node: Node, pacs: CountingPacs, ct: Ct
) -> None:
    node.start()

    for _ in range(60):  # twice as many as there may be associations; a monitor does so all day
        assert listens(node.port)

    assert_still_works(node, pacs, ct)
    node.wait_idle()
    began = monotonic()
    assert node.stop() == 0
    assert monotonic() - began < 8


def test_truncated_objects_and_noise_are_refused_and_a_good_study_follows(
    node: Node, pacs: CountingPacs, ct: Ct
) -> None:
    node.start()
    whole = data_set_of(ct.files[0])

    assert send_raw(whole[: len(whole) // 2], node.port) not in (None, 0)
    assert send_raw(whole[: len(whole) - 100], node.port) not in (None, 0)
    assert send_raw(b"this is no data set" * 500, node.port) not in (None, 0)
    with socket.create_connection(("127.0.0.1", node.port)) as noise:
        noise.sendall(b"GET / HTTP/1.1\r\n\r\n")

    assert node.rows("SELECT COUNT(*) FROM instance") == [(0,)]
    assert list((node.store / "studies").iterdir()) == []
    assert_still_works(node, pacs, ct)
    eventually(lambda: not list((node.store / "incoming").iterdir()), what="no half-received file left")
    assert pacs.of_class(REFUSAL) == []
