"""Two studies on which somebody drew: what is compared is what was drawn then, under the names of the report on it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicomnode.domain.finding import Provenance
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.prior import Prior, PriorFile, PriorKind
from dicomnode.domain.response import Standing
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.analyse import Analysis, analyse
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from tests.series import classic
from tests.series.header import Place
from tests.series.scan import Scan
from tests.unit.infer.contours.drawn import structure_set

SHIPPED = Path(__file__).parents[3] / "models" / "measure-contours" / "model.toml"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder = tmp_path_factory.mktemp("models") / "measure-contours"
    folder.mkdir()
    (folder / "model.toml").write_text(SHIPPED.read_text() + '\n[measure]\ncriteria = ["recist"]\n')
    (folder / "CARD.md").write_text("A card.")
    return load_bundle(folder)


def study(folder: Path, name: str, day: str, half_mm: float) -> tuple[list[Path], Path]:
    """Images with a box of twice `half_mm` drawn on them."""
    affine = np.array([[0, 0, 2.0, -40], [0, 2.0, 0, -40], [4.0, 0, 0, -40], [0, 0, 0, 1]])
    z, y, x = np.meshgrid(np.arange(-40, 40, 4), np.arange(-40, 40, 2), np.arange(-40, 40, 2), indexing="ij")
    values = np.where((x / 36) ** 2 + (y / 30) ** 2 < 1, 40, -1000) + np.where(
        (x - 12) ** 2 + (y - z / 3) ** 2 < 36, 600, 0
    )
    values[(x + 15) ** 2 + (y - 8) ** 2 + (z - 10) ** 2 < 100] = -800
    scan = Scan(values=values.astype(np.int16), affine=affine)
    paths, contours = [], []
    for index, ds in enumerate(classic.ct(scan, Place(study=name, series="ct", frame="same", more={"StudyDate": day}))):
        paths.append(folder / f"{name}-{index}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
        level = float(ds.ImagePositionPatient[2])
        if abs(level) <= half_mm:
            item = Dataset()
            item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", 4
            h = half_mm
            item.ContourData = [-h, -h, level, h, -h, level, h, h, level, -h, h, level]
            contours.append(item)
    header = dcmread(paths[0], stop_before_pixels=True)
    drawn = structure_set(
        {"GTV": contours}, frame=str(header.FrameOfReferenceUID), series=str(header.SeriesInstanceUID)
    )
    drawn.StudyInstanceUID, drawn.PatientID = header.StudyInstanceUID, header.PatientID
    drawn.SOPInstanceUID, drawn.SeriesInstanceUID = f"1.2.9.{half_mm:.0f}", f"1.2.9.{half_mm:.0f}.1"
    path = folder / f"{name}-drawn.dcm"
    drawn.save_as(path, enforce_file_format=True)
    return paths, path


def run(made: tuple[list[Path], Path], model: ModelSpec, *priors: Prior) -> Analysis:
    paths, drawn = made
    uid = str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)
    uids = ResultUids(study_instance_uid=uid, rule="r", input_digest=uid, recipe_digest="d", run=1)
    provenance = Provenance(
        node_version="1", station="T", rule="r", model=model, revision=1, run=1,
        started_at=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip
    inputs = {model.images[0].name: paths, model.contours: [drawn]}
    return analyse(inputs, ("sr",), provenance, uids, Sessions(threads=1, device="cpu"), priors=priors)


def file(path: Path, kind: PriorKind, name: str = "", *, own: bool = False) -> PriorFile:
    ds = dcmread(path, stop_before_pixels=True)
    return PriorFile(
        kind=kind, series_instance_uid=ds.SeriesInstanceUID, sop_class_uid=ds.SOPClassUID,
        sop_instance_uid=ds.SOPInstanceUID, path=path, input=name, own=own,
    )  # fmt: skip


@pytest.mark.parametrize("at_hand", ["report", "contours", "both"])
def test_a_known_tumour_is_found_again_and_is_no_candidate(at_hand: str, model: ModelSpec, tmp_path: Path) -> None:
    before, now = study(tmp_path, "before", "20260101", 12.0), study(tmp_path, "now", "20260301", 20.0)
    first = run(before, model)
    reported = next(one for one in first.outputs if one.kind == "sr" and not one.stands_in)
    (tmp_path / "sr.dcm").write_bytes(reported.data)
    files = [file(path, PriorKind.IMAGE, model.images[0].name) for path in before[0]]
    if at_hand != "report":
        files.append(file(before[1], PriorKind.IMAGE, model.contours))
    if at_hand != "contours":
        files.append(file(tmp_path / "sr.dcm", PriorKind.REPORT, own=True))
    uid = str(dcmread(before[0][0], stop_before_pixels=True).StudyInstanceUID)
    prior = Prior(study_instance_uid=uid, study_date=date(2026, 1, 1), source="store", files=tuple(files))
    found = run(now, model, prior).findings.comparison
    assert found is not None and not found.not_comparable
    (then,) = found.priors[0].lesions
    assert then.label == "GTV" and then.longest_mm == pytest.approx(24 * 2**0.5, abs=4.0) and then.target
    assert found.priors[0].by_person == (at_hand != "report")
    # A report without its mask does not tell where the lesion lies; contours do.
    if at_hand != "report":
        (change,) = found.changes
        assert change.standing is Standing.MATCHED and found.assessments[0].category is not None
    if at_hand == "both":
        assert first.findings.comparison is not None
        assert then.tracking_uid == first.findings.comparison.now.lesions[0].tracking_uid
