"""Every verb of the installed command: exit status, words and real effects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage

from tests.acceptance.conftest import MakeNode
from tests.acceptance.peers import SEG, SR, CountingPacs, send
from tests.acceptance.phantom import Ct
from tests.acceptance.reading import complaints, mask_on, predecessors
from tests.acceptance.running import Node
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance

REPOSITORY = Path(__file__).resolve().parents[2]


def analysed(node: Node, pacs: CountingPacs, ct: Ct) -> Node:
    """A running node that has analysed a study."""
    node.start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR")
    node.wait_idle()
    return node


def test_init_writes_a_configuration_that_passes_the_check_once_its_model_is_there(
    make_node: MakeNode, pacs: CountingPacs, models: Path, tmp_path: Path
) -> None:
    node = make_node()
    node.configuration.unlink()
    answers = ["--aet", "NODE1", "--port", str(node.port), "--pacs-aet", pacs.aet, "--pacs-host", "127.0.0.1"]
    answers += ["--pacs-port", str(pacs.port), "--store", str(tmp_path / "kept")]
    answers += ["--web-port", "0", "--models", "lung-ct"]

    first = node.command("init", node.configuration, *answers, configured=False)
    again = node.command("init", node.configuration, *answers, configured=False)

    assert first.returncode == 0, first.stderr
    assert "dicomnode check" in first.stdout
    assert again.returncode == 2
    assert "it is not replaced" in again.stderr
    text = node.configuration.read_text()
    assert str(REPOSITORY / "models") in text
    text = text.replace(str(REPOSITORY / "models"), str(models)).replace('"lung-ct"', '"toy"')
    node.configuration.write_text(text)
    checked = node.command("check")
    assert checked.returncode in (0, 3), checked.stdout
    assert "answers C-ECHO" in checked.stdout
    assert "fail" not in checked.stdout


def test_check_fails_and_names_what_is_wrong_with_a_remedy(node: Node, pacs: CountingPacs) -> None:
    pacs.stop()
    node.rules = node.rules.replace('"toy"', '"toi"')
    node.configure()

    checked = node.command("check", "--json")

    assert checked.returncode == 1
    failed = {one["subject"]: one for one in json.loads(checked.stdout) if one["verdict"] == "fail"}
    assert set(failed) == {"rule dense", f"peer PACS (ORTHANC at 127.0.0.1:{pacs.port})"}
    assert all(one["found"] and one["remedy"] for one in failed.values())


@pytest.mark.parametrize("verb", ["check", "run", "status"])
def test_every_fault_of_the_configuration_is_told_at_once_with_2(node: Node, verb: str) -> None:
    node.rules = node.rules.replace("Modality", "Modaltiy").replace('["sender"]', '["PACX"]')
    node.configure()

    done = node.command(verb)

    assert done.returncode == 2
    assert "did you mean Modality?" in done.stderr
    assert "did you mean PACS?" in done.stderr


def test_process_writes_the_results_of_files_without_a_node(node: Node, models: Path, ct: Ct, tmp_path: Path) -> None:
    line = ["process", ct.folder, "--model", "toy", "--models", models, "--out", tmp_path / "out"]

    done = node.command(*line, configured=False)

    assert done.returncode == 0, done.stderr
    files = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert set(files) == {"seg.dcm", "sr.dcm"}
    assert [complaints(file) for file in files.values()] == [[], []]
    assert np.array_equal(mask_on(dcmread(files["seg.dcm"]), ct), ct.ball)
    assert "Dense" in done.stdout
    unsuitable = node.command("process", *ct.files[:2], *line[2:], configured=False)
    assert unsuitable.returncode == 1
    assert "minimum" in unsuitable.stderr or "2" in unsuitable.stderr


def test_send_and_echo_reach_a_peer_and_say_when_they_do_not(node: Node, pacs: CountingPacs, ct: Ct) -> None:
    echoed = node.command("echo", "PACS")
    sent = node.command("send", ct.folder, "--to", "PACS")
    unknown = node.command("echo", "PAX")
    pacs.status = 0xA700
    refused = node.command("send", ct.files[0], "--to", "PACS")
    pacs.stop()
    silent = [node.command("echo", "PACS"), node.command("send", ct.folder, "--to", "PACS")]

    assert (echoed.returncode, sent.returncode) == (0, 0)
    assert "12 of 12 objects stored by PACS" in sent.stdout
    assert len(pacs.of_class(CTImageStorage)) == 12
    assert unknown.returncode == 2
    assert "PACS" in unknown.stderr
    assert refused.returncode == 1
    assert "A700" in refused.stdout
    assert [done.returncode for done in silent] == [1, 1]
    assert all("Connection refused" in done.stderr for done in silent)


def test_route_says_which_rule_matches_and_why_another_does_not(node: Node, ct: Ct) -> None:
    node.rules += '\n[[rule]]\nname = "mr"\nmodel = "toy"\n[rule.series]\nModality = "MR"\n'
    node.configure()

    done = node.command("route", ct.folder)

    assert done.returncode == 0
    dense, mr = (line for line in done.stdout.splitlines() if "series" in line)
    assert "dense" in dense and " matches" in dense
    assert "mr" in mr and "does not match" in mr and "CT" in mr


def test_status_and_why_tell_where_a_study_stands(node: Node, pacs: CountingPacs, ct: Ct) -> None:
    analysed(node, pacs, ct)

    status, story = node.status(), node.why(ct.study[:30])
    text, unknown = node.command("why", ct.study), node.command("why", "9.9.9")

    assert status["studies"] == {"settled": 1}
    assert status["jobs"] == {"done": 1}
    assert status["deliveries"] == {"done": 2}
    assert status["failed"] == status["held"] == status["backing_off"] == []
    assert story["study"] == ct.study
    told = [(line["entity"], line["arrow"]) for line in story["story"]]
    assert [arrow for entity, arrow in told if entity == "study"] == ["opened", "settled"]
    assert [arrow for entity, arrow in told if entity == "job"] == ["created", "claimed", "finished"]
    assert ("series", "received") in told
    assert ("rule", "considered") in told
    assert [(sent["role"], sent["destination"]) for sent in story["results"]] == [("seg", "PACS"), ("sr", "PACS")]
    assert text.returncode == 0
    assert all(words in text.stdout for words in ("received", "considered", "settled", "claimed", "finished"))
    assert "result sr" in text.stdout and "done  0000 Success" in text.stdout
    assert unknown.returncode == 1
    assert "9.9.9" in unknown.stderr


def test_rerun_makes_a_second_run_under_new_uids(node: Node, pacs: CountingPacs, ct: Ct) -> None:
    analysed(node, pacs, ct)

    assert node.command("rerun", ct.study).returncode == 0

    eventually(lambda: len(pacs.of_class(SR)) == 2, what="the second report")
    node.wait_idle()
    first, second = pacs.of_class(SR)
    assert predecessors(second) == [first.SOPInstanceUID]
    assert node.rows("SELECT run, state FROM job ORDER BY run") == [(1, "done"), (2, "done")]


def test_retry_sends_the_very_same_objects_that_the_pacs_refused_before(node: Node, pacs: CountingPacs, ct: Ct) -> None:
    pacs.status = 0xC000
    node.start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(
        lambda: node.rows("SELECT state FROM delivery") == [("failed",)] * 4, what="SEG, SR and its stand-ins to fail"
    )
    failed = node.status()["failed"]
    pacs.status = 0x0000

    done = node.command("retry", ct.study)

    assert [one["what"] for one in failed] == ["delivery to PACS"] * 4
    assert (done.returncode, "4 deliveries wait again" in done.stdout) == (0, True)
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR")
    node.wait_idle()
    made = {uid for (uid,) in node.rows("SELECT sop_instance_uid FROM delivery WHERE state = 'done'")}
    assert [offer.sop_class_uid for offer in pacs.offers] == [SEG, SR]
    assert {offer.sop_instance_uid for offer in pacs.offers} == made
    assert node.rows("SELECT COUNT(*) FROM job") == [(1,)]


def test_other_pixels_under_a_known_uid_hold_the_study_until_retry(
    node: Node, pacs: CountingPacs, ct: Ct, tmp_path: Path
) -> None:
    analysed(node, pacs, ct)
    ds = dcmread(ct.files[3])
    ds.PixelData = bytes(reversed(ds.PixelData))
    ds.save_as(tmp_path / "other.dcm")
    assert set(send([tmp_path / "other.dcm"], node.port).values()) == {0}
    eventually(lambda: node.rows("SELECT held FROM study WHERE held <> ''"), what="the study to be held")
    held = node.status()["held"]

    done = node.command("retry", ct.study)

    assert [one["study"] for one in held] == [ct.study]
    assert (done.returncode, "hold ended" in done.stdout) == (0, True)
    node.wait_idle()
    assert node.rows("SELECT state, held FROM study") == [("settled", "")]
    assert len(pacs.offers) == 2


def test_why_and_status_print_what_a_peer_answered_word_by_word(node: Node, pacs: CountingPacs, ct: Ct) -> None:
    pacs.status, pacs.comment = 0xC000, "[red]quota[/blue] [/]"
    node.start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(
        lambda: node.rows("SELECT state FROM delivery") == [("failed",)] * 4, what="SEG, SR and its stand-ins to fail"
    )

    told = [node.command("why", ct.study), node.command("status")]

    assert [done.returncode for done in told] == [0, 0]
    assert all(pacs.comment in done.stdout for done in told)


def test_cancel_keeps_what_waits_from_being_sent(node: Node, pacs: CountingPacs, ct: Ct) -> None:
    pacs.stop()
    node.start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: node.rows("SELECT 1 FROM backoff"), what="a failed try")
    # A study whose delivery is under way at this instant cannot be cancelled until it is over.
    eventually(
        lambda: (
            node.command("cancel", ct.study).returncode == 0
            and node.rows("SELECT DISTINCT state FROM delivery") == [("cancelled",)]
        ),
        what="both deliveries cancelled",
    )

    pacs.start()

    node.wait_idle()
    assert node.command("echo", "PACS").returncode == 0
    assert pacs.offers == []
    assert {sent["state"] for sent in node.why(ct.study)["results"]} == {"cancelled"}


def test_models_are_listed_shown_and_verified(node: Node, models: Path) -> None:
    verbs = [("models", "list"), ("models", "verify", "toy"), ("models", "show", "toy")]

    well = [node.command(*verb, "--folder", models, configured=False) for verb in verbs]
    (models / "toy" / "model.onnx").write_bytes(b"another network")
    swapped = node.command("models", "verify", "toy", "--folder", models, configured=False)
    (models / "toy" / "model.toml").write_text("[model]\n")
    broken = node.command("models", "list", "--folder", models, configured=False)

    assert [done.returncode for done in well] == [0, 0, 0]
    assert "toy" in well[0].stdout and "as declared" in well[0].stdout
    assert "as declared" in well[1].stdout
    assert "Dense voxels" in well[2].stdout and "sha256" in well[2].stdout
    assert swapped.returncode == 1
    assert "SHA-256" in swapped.stderr
    assert broken.returncode == 1
    assert "broken" in broken.stdout


def test_demo_shows_the_whole_way_from_nothing(make_node: MakeNode, tmp_path: Path) -> None:
    if not (REPOSITORY / "models" / "lung-ct" / "model.toml").exists():
        pytest.skip("models/lung-ct is not there; `make train` makes it")
    node = make_node()

    done = node.command("demo", "--out", tmp_path / "demo", configured=False)

    assert done.returncode == 0, done.stdout + done.stderr
    kinds = sorted(dcmread(path).SOPClassUID for path in (tmp_path / "demo" / "returned").iterdir())
    assert kinds == [SEG, SR]
    (picture,) = (tmp_path / "demo").glob("*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "stages: " in done.stdout
