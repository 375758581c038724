"""Studies that cannot be analysed: the reader gets one report that says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.peers import REFUSAL, CountingPacs, send
from tests.acceptance.phantom import PATIENT_ID, Ct, make_ct
from tests.acceptance.reading import complaints, dump, words
from tests.acceptance.running import Node
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance


def the_refusal(node: Node, pacs: CountingPacs, study: str, folder: Path) -> str:
    """The words of the one report that a study got, after it was found to be valid."""
    eventually(lambda: pacs.of_class(REFUSAL), what="a report that says why")
    node.wait_idle()
    (offer,) = pacs.offers
    report = offer.dataset
    assert (report.SOPClassUID, report.StudyInstanceUID, report.PatientID) == (REFUSAL, study, PATIENT_ID)
    file = folder / "refusal.dcm"
    report.save_as(file, enforce_file_format=True)
    assert complaints(file) == []
    assert "not analysed" in dump(file).lower()
    assert node.rows("SELECT state FROM job") == [("failed",)]
    assert node.rows("SELECT state FROM delivery") == [("done",)]
    return words(report)


def test_a_model_whose_network_was_swapped_fails_the_check_and_refuses_its_studies(
    node: Node, pacs: CountingPacs, models: Path, ct: Ct, tmp_path: Path
) -> None:
    network = models / "toy" / "model.onnx"
    network.write_bytes(network.read_bytes() + b"\0")

    checked = node.command("check")
    node.start()
    assert set(send(ct.files, node.port).values()) == {0}

    assert checked.returncode == 1
    assert [line for line in checked.stdout.splitlines() if "model toy" in line and "fail" in line]
    reason = the_refusal(node, pacs, ct.study, tmp_path)
    assert "toy" in reason
    assert "SHA-256" in reason


def test_a_series_with_too_few_slices_is_refused_with_both_numbers(
    node: Node, pacs: CountingPacs, tmp_path: Path
) -> None:
    ct = make_ct(tmp_path / "short", slices=3)
    node.start()

    assert set(send(ct.files, node.port).values()) == {0}

    reason = the_refusal(node, pacs, ct.study, tmp_path)
    assert "3" in reason
    assert "4" in reason


def test_a_series_with_a_gap_is_refused_with_its_place(node: Node, pacs: CountingPacs, ct: Ct, tmp_path: Path) -> None:
    node.start()

    assert set(send([*ct.files[:5], *ct.files[6:]], node.port).values()) == {0}

    assert "gap 8 mm at position 5" in the_refusal(node, pacs, ct.study, tmp_path)
