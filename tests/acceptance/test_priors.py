"""Earlier studies in a real Orthanc: fetched by C-MOVE and C-GET, while it is away, and across kills."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from dicomnode.flow.failpoint import PRIOR_NAMES, VARIABLE
from tests.acceptance.conftest import MakeNode, MakeOrthanc
from tests.acceptance.orthanc import Orthanc
from tests.acceptance.peers import SR, CountingPacs, data_set_of, send
from tests.acceptance.phantom import Ct, make_ct
from tests.acceptance.reading import predecessors
from tests.acceptance.running import RULE, Node, peer
from tests.acceptance.waiting import eventually
from tests.toy import TOML, write_bundle

#: The listener may die between the question whether it is there and pynetdicom's connection, whose socket then leaks.
pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]

WISH = 'priors = { from = ["ARCHIVE"], within_days = 400, at_most = 2, wait_seconds = 600 }\n[rule.series]'


#: The toy bundle with a lesion, since nothing else is compared.
LESION = (
    TOML.replace('status = "demo"', 'status = "research"').replace(
        'label = "Dense"', 'label = "Dense"\nsubject = "lesion"'
    )
    + '[measure]\ncriteria = ["recist"]\n'
)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with that bundle."""
    write_bundle(tmp_path / "models", toml=LESION)
    return tmp_path / "models"


def earlier(ct: Ct, folder: Path, days: int, **changes: str) -> Ct:
    """The same images as a study of so many days before, of the same patient unless told otherwise."""
    folder.mkdir()
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    day = (datetime.now(UTC).date() - timedelta(days=days)).strftime("%Y%m%d")
    files = []
    for path in ct.files:
        ds = dcmread(path)
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = day
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
        files.append(folder / path.name)
        ds.save_as(files[-1], enforce_file_format=True)
    return Ct(study=study, folder=folder, files=tuple(files), ball=ct.ball, origin_mm=ct.origin_mm)


@pytest.fixture
def orthanc(make_orthanc: MakeOrthanc, node_port: int) -> Orthanc:
    """An Orthanc that knows the node."""
    return make_orthanc(node_port)


def cited(report: Dataset) -> set[str]:
    """Study Instance UIDs of the evidence of a report (PS3.3 C.17.2.3)."""
    keywords = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
    return {str(item.StudyInstanceUID) for keyword in keywords for item in report.get(keyword) or ()}


def node_with(make_node: MakeNode, pacs: CountingPacs, orthanc: Orthanc, port: int, retrieve: str = "move") -> Node:
    """A node whose results go to the counting PACS and whose priors come from Orthanc."""
    archive = peer("ARCHIVE", orthanc.aet + "2", orthanc.port, retrieve=retrieve)
    return make_node(
        port=port, rules=RULE.replace("[rule.series]", WISH),
        peers=[peer("PACS", pacs.aet, pacs.port, accept_research=True), archive],
        priors={"leave_free_gib": 0.1},
    )  # fmt: skip


def frozen(node: Node) -> list[tuple[Any, ...]]:
    """Run, study and number of images of every prior that a job has."""
    return node.rows(
        "SELECT run, job_prior.study_instance_uid, remark, COUNT(*) FROM job JOIN job_prior USING (job_id)"
        " JOIN job_prior_file USING (job_id) WHERE kind = 'image'"
        " AND job_prior_file.study_instance_uid = job_prior.study_instance_uid"
        " GROUP BY job.job_id, job_prior.study_instance_uid ORDER BY run, study_date"
    )


def assert_priors(node: Node, *priors: Ct) -> None:
    """The newest run has these priors, byte for byte, and nothing of them was taken for an arrival."""
    run, paths = node.rows("SELECT MAX(run), COUNT(*) FROM job")[0][0], [file for one in priors for file in one.files]
    assert frozen(node) == [(run, one.study, "", 12) for one in priors]
    kept = node.rows("SELECT path FROM job_prior_file")
    assert sorted(data_set_of(node.store / path) for (path,) in kept) == sorted(map(data_set_of, paths))
    assert node.rows("SELECT COUNT(*) FROM study") == [(1,)]


@pytest.mark.parametrize("retrieve", ["move", "get"])
def test_priors_come_from_an_archive_and_a_new_report_replaces_the_first(
    make_node: MakeNode, pacs: CountingPacs, orthanc: Orthanc, node_port: int, tmp_path: Path, ct: Ct, retrieve: str
) -> None:
    baseline, newest = earlier(ct, tmp_path / "baseline", 300), earlier(ct, tmp_path / "newest", 30)
    between, too_old = earlier(ct, tmp_path / "between", 100), earlier(ct, tmp_path / "old", 500)
    other = earlier(ct, tmp_path / "other", 60, PatientID="SOMEBODY")
    report_only = earlier(ct, tmp_path / "xray", 20, Modality="MR")
    for one in (baseline, between, newest, too_old, other, report_only):
        assert set(send(one.files, orthanc.port).values()) == {0}
    node = node_with(make_node, pacs, orthanc, node_port, retrieve).start()

    assert set(send(ct.files, node.port).values()) == {0}

    eventually(lambda: len(pacs.of_class(SR)) == 2, what="the report and its successor")
    node.wait_idle()
    first, second = pacs.of_class(SR)
    assert predecessors(first) == []
    assert predecessors(second) == [first.SOPInstanceUID]
    assert_priors(node, baseline, newest)
    # The same images at all times: what was compared has not changed; the study between is known to be missing.
    told = second.to_json()
    assert "2 studies since" in told and "(0.0 % from baseline)" in told and "SUM-DIAM-LEAST" in told
    assert {baseline.study, newest.study} <= cited(second)
    assert node.rows("SELECT state, run FROM job ORDER BY run") == [("done", 1), ("done", 2)]
    arrows = [line["arrow"] for line in node.why(ct.study)["story"] if line["entity"] == "prior"]
    assert arrows == ["wanted", "fetched", "handed over"]


@pytest.mark.parametrize("retrieve", ["move", "get"])
def test_what_this_node_made_of_an_earlier_study_comes_back_with_it(
    make_node: MakeNode, orthanc: Orthanc, node_port: int, tmp_path: Path, ct: Ct, retrieve: str
) -> None:
    prior = earlier(ct, tmp_path / "prior", 20)
    archive = peer("ARCHIVE", orthanc.aet, orthanc.port, retrieve=retrieve)
    node = make_node(
        port=node_port, rules=RULE.replace("[rule.series]", WISH), peers=[archive], priors={"leave_free_gib": 0.1}
    ).start()
    assert set(send(prior.files, orthanc.port).values()) == {0}
    assert set(send(prior.files, node.port).values()) == {0}
    eventually(lambda: set(orthanc.instances(prior.study)) == {"CT", "SEG", "SR"}, what="its results in the archive")
    node.wait_idle()

    assert set(send(ct.files, node.port).values()) == {0}

    given = eventually(
        lambda: node.rows(
            "SELECT kind, own, COUNT(*) FROM job_prior_file JOIN job USING (job_id)"
            " WHERE job.study_instance_uid = ? GROUP BY kind",
            ct.study,
        ),
        what="the prior",
    )
    assert given == [("image", 0, 12), ("mask", 1, 1), ("report", 1, 1)]
    node.wait_idle()
    assert node.rows("SELECT COUNT(*) FROM study") == [(2,)]


def test_a_lesion_that_has_grown_is_told_as_progression_and_keeps_its_tracking_uid(
    make_node: MakeNode, orthanc: Orthanc, node_port: int, tmp_path: Path
) -> None:
    # The seeds set UIDs apart; patient and place are the same.
    prior = earlier(make_ct(tmp_path / "small", seed=2, radius_mm=10.0, structured=True), tmp_path / "prior", 20)
    now = make_ct(tmp_path / "large", seed=3, radius_mm=15.0, structured=True)
    archive = peer("ARCHIVE", orthanc.aet, orthanc.port, retrieve="move")
    node = make_node(
        port=node_port, rules=RULE.replace("[rule.series]", WISH), peers=[archive], priors={"leave_free_gib": 0.1}
    ).start()
    assert set(send(prior.files, orthanc.port).values()) == {0}
    assert set(send(prior.files, node.port).values()) == {0}
    eventually(lambda: set(orthanc.instances(prior.study)) == {"CT", "SEG", "SR"}, what="its results in the archive")
    node.wait_idle()

    assert set(send(now.files, node.port).values()) == {0}

    eventually(lambda: node.rows("SELECT MAX(run) FROM job") == [(2,)], what="the comparison")
    node.wait_idle()
    (then,), reports = reports_of(node, prior.study), reports_of(node, now.study)
    told = reports[-1].to_json()
    # CID 6147; 20 mm have become 30 mm: more than 20 % and 5 mm over the least sum.
    assert "112043" not in reports[0].to_json() and "112043" in told
    (percent,) = set(re.findall(r"\(\+?([\d.]+) % from baseline", told))
    assert float(percent) == pytest.approx(50.0, abs=10.0), "diameters are measured on voxels of 2 mm"
    assert tracking_uids(then) and tracking_uids(then) <= tracking_uids(reports[-1])


def reports_of(node: Node, study: str) -> list[Dataset]:
    """The reports that the node made of a study, run by run."""
    rows = node.rows(
        "SELECT result.path FROM result JOIN job USING (job_id) WHERE study_instance_uid = ? AND role = 'sr'"
        " ORDER BY run",
        study,
    )
    return [dcmread(node.store / path) for (path,) in rows]


def tracking_uids(report: Dataset) -> set[str]:
    """Tracking Unique Identifiers (TID 1411) anywhere in a report."""
    return {
        str(item.UID) for item in _items(report)
        if "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence[0].CodeValue == "112040"
    }  # fmt: skip


def _items(item: Dataset) -> Iterator[Dataset]:
    for inner in item.get("ContentSequence") or ():
        yield inner
        yield from _items(inner)


def test_an_archive_that_is_away_delays_no_result_and_the_successor_comes_when_it_is_back(
    make_node: MakeNode, pacs: CountingPacs, orthanc: Orthanc, node_port: int, tmp_path: Path, ct: Ct
) -> None:
    prior = earlier(ct, tmp_path / "prior", 30)
    assert set(send(prior.files, orthanc.port).values()) == {0}
    orthanc.stop()
    node = node_with(make_node, pacs, orthanc, node_port).start()

    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: len(pacs.of_class(SR)) == 1, 20, "the report while the archive is away")
    eventually(lambda: "not yet" in str(node.why(ct.study)["story"]), what="the archive to be missed")
    node.kill()
    orthanc.start()
    node.start()

    eventually(lambda: len(pacs.of_class(SR)) == 2, what="its successor")
    node.wait_idle()
    first, second = pacs.of_class(SR)
    assert predecessors(second) == [first.SOPInstanceUID]
    assert_priors(node, prior)


@pytest.mark.parametrize("retrieve", ["move", "get"])
@pytest.mark.parametrize("name", PRIOR_NAMES)
def test_a_kill_while_priors_come_loses_nothing_and_repeats_the_analysis_once(
    make_node: MakeNode, pacs: CountingPacs, orthanc: Orthanc, node_port: int, tmp_path: Path, retrieve: str, name: str
) -> None:
    ct = make_ct(tmp_path / "now", announced=12)
    prior = earlier(ct, tmp_path / "prior", 30)
    assert set(send(prior.files, orthanc.port).values()) == {0}
    marker = tmp_path / "killed"
    node = node_with(make_node, pacs, orthanc, node_port, retrieve).start({VARIABLE: f"{name}={marker}"})

    assert set(send(ct.files, node.port).values()) == {0}

    eventually(lambda: len(pacs.of_class(SR)) == 2, what="the report and its successor")
    node.wait_idle()
    assert marker.exists()
    assert_priors(node, prior)
    assert node.rows("SELECT state, run FROM job ORDER BY run") == [("done", 1), ("done", 2)]
