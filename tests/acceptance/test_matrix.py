"""Every kind of source makes every kind of result, valid and in its place, or a refusal that says why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import NuclearMedicineImageStorage
from scipy.spatial.transform import Rotation

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.flow.encode import Output
from dicomnode.infer.read.volume import read_series
from tests.acceptance.made import findings_on, results_on
from tests.acceptance.reading import referenced_instances
from tests.acceptance.validators import dcentvfy, dciodvfy, unexplained
from tests.series.classic import ct, mr, pet
from tests.series.enhanced import enhanced_mr
from tests.series.header import Place, apply, decimal, new_object, pixels
from tests.series.scan import Scan, tilted_grid, turned_grid, upright

pytestmark = pytest.mark.acceptance

#: Kinds of output, and the SOP classes that they come in (PS3.4 Table B.5-1).
CLASSES = {
    "seg": {"1.2.840.10008.5.1.4.1.1.66.4"},
    "labelmap": {"1.2.840.10008.5.1.4.1.1.66.7"},
    "sr": {f"1.2.840.10008.5.1.4.1.1.88.{number}" for number in (34, 33, 22)},
    "rtstruct": {"1.2.840.10008.5.1.4.1.1.481.3"},
    "picture": {"1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.4"},
    "pdf": {"1.2.840.10008.5.1.4.1.1.104.1"},
    "map": {"1.2.840.10008.5.1.4.1.1.30"},
}

#: Kinds that lie in space; the others have no frame of reference, or one of their own.
SPATIAL = {"seg", "labelmap", "rtstruct", "map"}


def _scan() -> Scan:
    """A bright ball off the middle of a lattice of 40 × 36 × 10 voxels."""
    grid = np.indices((40, 36, 10))
    away = sum(((axis - at) / far) ** 2 for axis, at, far in zip(grid, (16, 14, 4), (9, 8, 3.2), strict=True))
    values = np.where(np.asarray(away) < 1, 300, 40).astype(np.int16)
    return upright(values, (0.8, 1.2, 3.0), (-12.0, -20.5, 31.0))


def _oblique() -> Scan:
    scan = _scan()
    rotation = Rotation.from_euler("xyz", (25, -15, 10), degrees=True).as_matrix()
    return Scan(values=scan.values, affine=turned_grid(scan, rotation))


def _tilted() -> Scan:
    scan = _scan()
    return Scan(values=scan.values, affine=tilted_grid(scan, 18.0))


SOURCES: dict[str, Callable[[], Sequence[Dataset]]] = {
    "ct": lambda: ct(_scan(), Place(study="matrix ct")),
    "oblique-mr": lambda: mr(_oblique(), Place(study="matrix mr")),
    "tilted-ct": lambda: ct(_tilted(), Place(study="matrix tilted")),
    "enhanced-mr": lambda: [enhanced_mr(_scan(), Place(study="matrix enhanced"), seed=4)],
    "pet": lambda: pet(_scan(), Place(study="matrix pet"), becquerel_per_ml=20.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One source with the results on it."""

    source: SourceSeries
    images: tuple[Path, ...]
    results: dict[str, tuple[Output, ...]]


@pytest.fixture(scope="module", params=list(SOURCES))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Every source with all kinds of results."""
    images = written(SOURCES[request.param](), tmp_path_factory.mktemp(request.param))
    source = read_series(images)
    return Case(source=source, images=images, results=results(source))


def written(datasets: Sequence[Dataset], folder: Path) -> tuple[Path, ...]:
    """Files of images."""
    files = tuple(folder / f"image-{number:03}.dcm" for number in range(len(datasets)))
    for ds, file in zip(datasets, files, strict=True):
        ds.save_as(file, enforce_file_format=True)
    return files


def results(source: SourceSeries) -> dict[str, tuple[Output, ...]]:
    """All objects by kind."""
    made = list(results_on(source, list(CLASSES)))
    assert {one.kind for one in made} == set(CLASSES)
    return {kind: tuple(one for one in made if one.kind == kind) for kind in CLASSES}


def planar_nm() -> list[Dataset]:
    """A whole-body bone scan from the front and from behind (PS3.3 A.5, C.8.4): projections have no place in space."""
    ds = new_object(Place(study="matrix nm"), NuclearMedicineImageStorage, "NM", "whole body")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"]
    del ds.FrameOfReferenceUID, ds.PositionReferenceIndicator
    ds.NumberOfFrames, ds.InstanceNumber = 2, 1
    ds.FrameIncrementPointer = [0x00540010, 0x00540020]  # Energy Window Vector, Detector Vector
    ds.EnergyWindowVector, ds.NumberOfEnergyWindows = [1, 1], 1
    ds.DetectorVector, ds.NumberOfDetectors = [1, 2], 2
    ds.PixelSpacing = [decimal(2.4), decimal(2.4)]
    ds.DetectorInformationSequence = [apply(Dataset(), {"CollimatorType": "PARA"}) for _ in range(2)]
    pixels(ds, np.full((2, 64, 16), 7, dtype=np.uint16))
    return [ds]


def test_a_whole_body_bone_scan_is_refused_since_nothing_says_where_it_lies(tmp_path: Path) -> None:
    with pytest.raises(Unsuitable, match=r"nuclear medicine image of type WHOLE BODY.*needed") as refused:
        read_series(written(planar_nm(), tmp_path))
    assert "DONT" not in str(refused.value) and "SECRET" not in str(refused.value)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_result_is_of_its_class_and_valid(case: Case, kind: str, tmp_path: Path) -> None:
    outputs = case.results[kind]
    assert {str(one.dataset.SOPClassUID) for one in outputs} <= CLASSES[kind]
    for one in outputs:
        file = tmp_path / f"{one.role}.dcm"
        file.write_bytes(one.data)
        assert unexplained("dciodvfy", dciodvfy(file)) == [], one.role


def test_an_sr_comes_in_all_of_its_classes(case: Case) -> None:
    assert {str(one.dataset.SOPClassUID) for one in case.results["sr"]} == CLASSES["sr"]


@pytest.mark.parametrize("kind", CLASSES)
def test_a_result_belongs_to_the_patient_and_study_of_its_source(case: Case, kind: str) -> None:
    header = case.source.datasets[0]
    for one in case.results[kind]:
        found = dcmread(BytesIO(one.data))
        for keyword in ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "StudyID", "StudyDate"):
            assert found[keyword].value == header[keyword].value, (one.role, keyword)
        assert found.SeriesInstanceUID != header.SeriesInstanceUID


@pytest.mark.parametrize("kind", sorted(SPATIAL))
def test_a_result_in_space_is_in_the_frame_of_reference_of_its_source(case: Case, kind: str) -> None:
    needed = case.source.datasets[0].FrameOfReferenceUID
    for one in case.results[kind]:
        found = dcmread(BytesIO(one.data))
        assert found.FrameOfReferenceUID == needed
        if kind == "rtstruct":
            (frame,) = found.ReferencedFrameOfReferenceSequence
            named = {roi.ReferencedFrameOfReferenceUID for roi in found.StructureSetROISequence}
            assert (frame.FrameOfReferenceUID, named) == (needed, {needed})


def test_what_results_refer_to_is_there(case: Case) -> None:
    images = {str(ds.SOPInstanceUID) for ds in case.source.datasets}
    made = {str(one.dataset.SOPInstanceUID) for outputs in case.results.values() for one in outputs}
    # A structure set names the study as if it were an object (PS3.3 C.8.8.5).
    images.add(str(case.source.datasets[0].StudyInstanceUID))
    for outputs in case.results.values():
        for one in outputs:
            assert referenced_instances(dcmread(BytesIO(one.data))) <= images | made, one.role


def test_the_report_is_the_root_of_everything_that_was_made(case: Case) -> None:
    first = case.results["sr"][0]
    made = {
        str(one.dataset.SOPInstanceUID) for kind, outputs in case.results.items() if kind != "sr" for one in outputs
    }
    report = dcmread(BytesIO(first.data))
    assert made <= referenced_instances(report)
    listed = {
        str(item.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert made <= listed, "whoever looks at the evidence alone finds everything, too (PS3.3 C.17.2.3)"
    assert listed == referenced_instances(report), "and the tree refers to nothing else (PS3.3 C.17.3)"


def test_a_report_refers_to_what_its_form_says(case: Case) -> None:
    by_role = {one.role: str(one.dataset.SOPInstanceUID) for outputs in case.results.values() for one in outputs}
    images = {str(ds.SOPInstanceUID) for ds in case.source.datasets}
    for one in case.results["sr"]:
        needed = {by_role[role] for role in one.refers_to.split()}
        assert referenced_instances(dcmread(BytesIO(one.data))) - images == needed, one.role


def test_a_map_holds_the_probabilities_on_the_images(case: Case) -> None:
    for output, made in zip(case.results["map"], findings_on(case.source).maps, strict=True):
        ds = dcmread(BytesIO(output.data))
        needed = case.source.on_planes(made.volume.array)
        (mapping,) = ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
        assert mapping.RealWorldValueSlope == pytest.approx(1 / 65535, rel=1e-12)
        by_image = {
            frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
            + str(frame.DerivationImageSequence[0].SourceImageSequence[0].get("ReferencedFrameNumber", "")): pixels
            for frame, pixels in zip(ds.PerFrameFunctionalGroupsSequence, ds.pixel_array, strict=True)
        }
        for plane, values in zip(case.source.planes, needed, strict=True):
            found = by_image[plane.dataset.SOPInstanceUID + str(plane.frame_number or "")]
            np.testing.assert_array_equal(found, values)


def test_all_objects_of_a_case_agree_on_what_they_share(case: Case, tmp_path: Path) -> None:
    files = []
    for outputs in case.results.values():
        for one in outputs:
            files.append(tmp_path / f"{one.role}.dcm")
            files[-1].write_bytes(one.data)
    study = str(case.source.datasets[0].StudyInstanceUID)
    assert unexplained("dcentvfy", dcentvfy([*case.images, *files]), study=study) == []


def test_a_second_run_gives_the_same_bytes_under_the_same_uids(case: Case) -> None:
    again = results(read_series(case.images))
    for kind, outputs in case.results.items():
        for one, two in zip(outputs, again[kind], strict=True):
            assert (one.role, one.dataset.SOPInstanceUID) == (two.role, two.dataset.SOPInstanceUID)
            assert one.data == two.data, one.role
    every = [str(one.dataset.SOPInstanceUID) for outputs in case.results.values() for one in outputs]
    assert len(set(every)) == len(every)
