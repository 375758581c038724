"""An archive that forwards everything it stores, the node's results included."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.conftest import DcmSend, MakeNode, MakeOrthanc
from tests.acceptance.orthanc import FORWARD_EVERYTHING
from tests.acceptance.phantom import make_ct
from tests.acceptance.running import peer
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance


def test_results_that_the_archive_forwards_back_make_no_new_revision_and_no_loop(
    make_node: MakeNode, make_orthanc: MakeOrthanc, dcmsend: DcmSend, node_port: int, tmp_path: Path
) -> None:
    # Orthanc opens an association for each image, so the images say how many there are.
    ct = make_ct(tmp_path / "ct", announced=12)
    orthanc = make_orthanc(node_port, lua=FORWARD_EVERYTHING)
    node = make_node(port=node_port, peers=[peer("PACS", orthanc.aet, orthanc.port)]).start()

    assert dcmsend(ct.folder, port=orthanc.port, called=orthanc.aet).returncode == 0

    eventually(lambda: node.text().count("own object came back") == 2, what="both results forwarded to the node")
    eventually(lambda: not orthanc.busy(), what="Orthanc to have forwarded everything")
    node.wait_idle()
    kept = orthanc.instances(ct.study)
    assert {modality: len(instances) for modality, instances in kept.items()} == {"CT": 12, "SEG": 1, "SR": 1}
    assert node.rows("SELECT state, revision FROM study") == [("settled", 1)]
    assert node.rows("SELECT state, run FROM job") == [("done", 1)]
    assert node.rows("SELECT COUNT(*) FROM instance") == [(12,)]
    assert node.rows("SELECT state, attempts FROM delivery") == [("done", 1), ("done", 1)]
    assert node.text().count("own object came back") == 2
