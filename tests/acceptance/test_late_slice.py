"""A slice that comes after the results: the study reopens and the second report names the first."""

from __future__ import annotations

import numpy as np
import pytest

from tests.acceptance.peers import SEG, SR, CountingPacs, send
from tests.acceptance.phantom import Ct
from tests.acceptance.reading import mask_on, predecessors, referenced_instances
from tests.acceptance.running import Node
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance


def test_a_late_slice_gives_revision_2_and_a_second_report_that_names_the_first(
    node: Node, pacs: CountingPacs, ct: Ct
) -> None:
    node.start()
    assert set(send(ct.files[:-1], node.port).values()) == {0}
    eventually(lambda: len(pacs.of_class(SR)) == 1, what="the first report")
    node.wait_idle()

    assert set(send(ct.files[-1:], node.port).values()) == {0}

    eventually(lambda: len(pacs.of_class(SR)) == 2, what="the second report")
    node.wait_idle()
    first, second = pacs.of_class(SR)
    assert predecessors(first) == []
    assert predecessors(second) == [first.SOPInstanceUID]
    before, after = pacs.of_class(SEG)
    assert after.SOPInstanceUID in referenced_instances(second)
    assert before.SeriesInstanceUID != after.SeriesInstanceUID
    assert np.array_equal(mask_on(after, ct), ct.ball)
    assert node.rows("SELECT revision FROM study") == [(2,)]
    story = node.why(ct.study)
    arrows = [line["arrow"] for line in story["story"] if line["entity"] == "study"]
    assert arrows == ["opened", "settled", "reopened", "settled"]
    reports = [sent["sop_instance_uid"] for sent in story["results"] if sent["role"] == "sr"]
    assert reports == [first.SOPInstanceUID, second.SOPInstanceUID]
    assert {sent["state"] for sent in story["results"]} == {"done"}


def test_the_whole_study_sent_again_changes_nothing(node: Node, pacs: CountingPacs, ct: Ct) -> None:
    node.start()
    for _ in range(2):
        assert set(send(ct.files, node.port).values()) == {0}
        eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR")
        node.wait_idle()

    assert node.rows("SELECT state, revision FROM study") == [("settled", 1)]
    assert node.rows("SELECT state, run FROM job") == [("done", 1)]
    assert node.rows("SELECT COUNT(*) FROM instance") == [(12,)]
    assert len(pacs.offers) == 2


def test_the_title_for_runs_on_demand_makes_a_second_run_under_new_uids(node: Node, pacs: CountingPacs, ct: Ct) -> None:
    node.start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: len(pacs.of_class(SR)) == 1, what="the first report")
    node.wait_idle()

    assert set(send(ct.files, node.port, called="NODE_NOW").values()) == {0}

    eventually(lambda: len(pacs.of_class(SR)) == 2, what="the second report")
    node.wait_idle()
    assert node.rows("SELECT state, run FROM job ORDER BY run") == [("done", 1), ("done", 2)]
    assert len({ds.SOPInstanceUID for ds in pacs.of_class(SEG, SR)}) == 4
    first, second = pacs.of_class(SR)
    assert predecessors(second) == [first.SOPInstanceUID]
    assert node.rows("SELECT COUNT(*) FROM instance") == [(12,)]
