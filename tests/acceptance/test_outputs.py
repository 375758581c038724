"""Every destination gets what it can show, and no report refers to what it does not have."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import RLELossless

from tests.acceptance.conftest import MakeNode
from tests.acceptance.peers import COMPREHENSIVE, LABELMAP, PICTURE, REFUSAL, SEG, SR, CountingPacs, send
from tests.acceptance.phantom import Ct
from tests.acceptance.reading import numbers, referenced_instances
from tests.acceptance.running import RULE, Node, peer
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance

WITH_PICTURE = RULE.replace('model = "toy"', 'model = "toy"\noutputs = ["seg", "sr", "picture"]')


@pytest.fixture
def archive() -> Iterator[Callable[..., CountingPacs]]:
    """Starts archives called ORTHANC that accept no context of some SOP classes."""
    started: list[CountingPacs] = []

    def start(*refused: str) -> CountingPacs:
        started.append(CountingPacs(refused=refused))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop()


def analysed(make_node: MakeNode, pacs: CountingPacs, ct: Ct, **more: Any) -> Node:
    """A node that has delivered everything it had to deliver."""
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port, **more)], rules=WITH_PICTURE).start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: pacs.offers, what="a result in the PACS")
    node.wait_idle()
    assert node.rows("SELECT DISTINCT state FROM delivery") == [("done",)], "nothing was offered in vain"
    return node


def report_of(pacs: CountingPacs, sop_class: str) -> Dataset:
    (report,) = pacs.of_class(SR, COMPREHENSIVE, REFUSAL)
    assert report.SOPClassUID == sop_class
    assert any("Volume" in name for _, name in numbers(report))
    return report


def test_an_archive_that_takes_a_seg_gets_it_with_the_report_and_no_picture(
    make_node: MakeNode, archive: Callable[..., CountingPacs], ct: Ct
) -> None:
    pacs = archive()
    node = analysed(make_node, pacs, ct)
    (seg,) = pacs.of_class(SEG)
    assert seg.SOPInstanceUID in referenced_instances(report_of(pacs, SR))
    assert pacs.of_class(PICTURE) == []
    table = {one["subject"]: one["found"] for one in json.loads(node.command("check", "--json").stdout)}
    assert table["PACS takes seg"].startswith("Explicit VR Little Endian, Implicit VR Little Endian (asked ")


def test_an_archive_that_takes_no_seg_gets_pictures_and_a_report_that_does_not_refer_to_it(
    make_node: MakeNode, archive: Callable[..., CountingPacs], ct: Ct
) -> None:
    pacs = archive(SEG)
    node = analysed(make_node, pacs, ct)
    (seg,) = node.rows("SELECT sop_instance_uid FROM result WHERE role = 'seg'")
    assert seg[0] not in referenced_instances(report_of(pacs, SR))
    assert pacs.of_class(PICTURE)
    told = [line["detail"] for line in node.why(ct.study)["story"] if line["arrow"] == "left out"]
    assert told


@pytest.mark.parametrize(
    ("refused", "sop_class"), [((SR,), COMPREHENSIVE), ((SR, COMPREHENSIVE), REFUSAL)], ids=["33", "22"]
)
def test_an_old_archive_gets_the_newest_class_of_report_that_it_takes(
    make_node: MakeNode, archive: Callable[..., CountingPacs], ct: Ct, refused: tuple[str, ...], sop_class: str
) -> None:
    pacs = archive(*refused)
    analysed(make_node, pacs, ct)
    (seg,) = pacs.of_class(SEG)
    assert seg.SOPInstanceUID in referenced_instances(report_of(pacs, sop_class))


def test_a_destination_that_lists_pictures_gets_them_and_nothing_else(
    make_node: MakeNode, archive: Callable[..., CountingPacs], ct: Ct
) -> None:
    pacs = archive()
    analysed(make_node, pacs, ct, outputs=["picture"])
    assert pacs.of_class(SEG, SR) == [] and pacs.of_class(PICTURE)


def test_a_destination_that_lists_the_label_map_gets_it_with_a_report_that_refers_to_it(
    make_node: MakeNode, archive: Callable[..., CountingPacs], ct: Ct
) -> None:
    pacs = archive()
    analysed(make_node, pacs, ct, outputs=["labelmap", "sr"])
    (mask,) = pacs.of_class(LABELMAP)
    assert pacs.of_class(SEG) == [] and mask.file_meta.TransferSyntaxUID == RLELossless
    assert mask.SOPInstanceUID in referenced_instances(report_of(pacs, SR))
    assert int((mask.pixel_array > 0).sum()) == int(ct.ball.sum())


def test_an_archive_that_rejects_a_listed_label_map_gets_a_report_alone_and_the_failure_is_seen(
    make_node: MakeNode, archive: Callable[..., CountingPacs], ct: Ct
) -> None:
    pacs = archive(LABELMAP)
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port, outputs=["labelmap", "sr"])]).start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: pacs.of_class(SR), what="a report")
    node.wait_idle()
    states = dict(node.rows("SELECT role, state FROM delivery JOIN result USING (result_id)"))
    assert states == {"labelmap": "failed", "sr-without-seg": "done"}


EVERYTHING = RULE.replace(
    'model = "toy"', 'model = "toy"\noutputs = ["seg", "sr", "radiomics", "rtstruct", "map", "picture", "pdf"]'
)
MAP, RTSTRUCT, PDF = "1.2.840.10008.5.1.4.1.1.30", "1.2.840.10008.5.1.4.1.1.481.3", "1.2.840.10008.5.1.4.1.1.104.1"
ROOTS = (SR, COMPREHENSIVE, REFUSAL)


def everything(make_node: MakeNode, pacs: CountingPacs, ct: Ct, **more: Any) -> Node:
    """A node that makes every kind of output and has delivered what it could."""
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port, **more)], rules=EVERYTHING).start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: root_of(pacs), what="a report in the PACS")
    node.wait_idle()
    return node


def images_of(ct: Ct) -> set[str]:
    return {str(dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in ct.files}


def root_of(pacs: CountingPacs) -> Dataset | None:
    """The report with the measurements, which is not the one with the radiomics."""
    found = [ds for ds in pacs.of_class(*ROOTS) if "radiomics" not in str(ds.SeriesDescription)]
    assert len(found) <= 1, "one report for one analysis"
    return found[0] if found else None


@pytest.mark.parametrize("refused", [(), (PDF,), (RTSTRUCT,), (SEG,), (SEG, LABELMAP, PDF), (SR,), (MAP, PICTURE)])
def test_the_report_comes_last_and_refers_to_what_came_before_and_to_nothing_else(
    make_node: MakeNode, archive: Callable[..., CountingPacs], ct: Ct, refused: tuple[str, ...]
) -> None:
    pacs = archive(*refused)
    everything(make_node, pacs, ct)
    root = root_of(pacs)
    assert root is not None
    order = [offer.sop_instance_uid for offer in pacs.offers]
    assert order[-1] == root.SOPInstanceUID
    assert len(set(order)) == len(order), "each once"
    referred = referenced_instances(root) - images_of(ct)
    assert referred <= set(order)
    masks = {str(ds.SOPInstanceUID) for ds in pacs.of_class(SEG)}
    assert masks <= referred
    if not refused or refused == (SEG,):
        assert referred == set(order[:-1]), "it is the root of everything that was sent"


def test_a_destination_that_lists_everything_gets_a_report_that_refers_to_everything(
    make_node: MakeNode, archive: Callable[..., CountingPacs], ct: Ct
) -> None:
    pacs = archive()
    everything(make_node, pacs, ct, outputs=["seg", "sr", "radiomics", "rtstruct", "map", "picture", "pdf"])
    root = root_of(pacs)
    assert root is not None and pacs.of_class(PICTURE)
    sent = {offer.sop_instance_uid for offer in pacs.offers} - {str(root.SOPInstanceUID)}
    assert referenced_instances(root) - images_of(ct) == sent


def test_a_map_comes_with_the_probability_of_every_voxel(
    make_node: MakeNode, archive: Callable[..., CountingPacs], ct: Ct
) -> None:
    pacs = archive()
    everything(make_node, pacs, ct)
    (found,) = pacs.of_class(MAP)
    (mapping,) = found.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeMeaning == "Probability"
    values = found.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    heights = [float(frame.PlanePositionSequence[0].ImagePositionPatient[2]) for frame in
               found.PerFrameFunctionalGroupsSequence]  # fmt: skip
    by_height = values[np.argsort(heights)]
    assert np.array_equal(by_height > 0.5, ct.ball)
    assert 0 <= values.min() < 0.01 and 0.99 < values.max() <= 1
