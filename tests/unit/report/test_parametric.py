"""Parametric maps read back by highdicom and by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from highdicom import Volume
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ParametricMapStorage

from dicomnode.domain.code import Code
from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import parametric
from dicomnode.report.encode import to_bytes
from dicomnode.report.map_check import verify
from dicomnode.report.parametric import NO_UNITS, PROBABILITY

from .conftest import FRAME_OF_REFERENCE, ORIENTATIONS, SEGMENTS, SERIES, SHAPE, STUDY, findings_in
from .phantoms import SOURCES
from .reading import referenced_instances, reread
from .test_validators import complaints

SLOPE = 1 / 65535
OTHER = Code(value="110806", scheme="DCM", meaning="Other quantity")

KINDS: dict[str, Callable[[], Findings]] = {
    **{name: (lambda name=name: findings_in(name)) for name in ORIENTATIONS},  # type: ignore[misc]
    "coronal": lambda: findings_in("coronal"),
    **SOURCES,
}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Findings:
    """Findings on every kind of source."""
    monkeypatch.setitem(ORIENTATIONS, "coronal", ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)))
    return KINDS[request.param]()


def probabilities(findings: Findings) -> Volume:
    """Steps without symmetry."""
    rng = np.random.default_rng(5)
    array = rng.integers(0, 65535, findings.source.volume.spatial_shape, dtype=np.uint16, endpoint=True)
    return findings.source.volume.with_array(array)


def shown(volume: Volume, findings: Findings) -> NDArray[np.float64]:
    planes: Any = findings.source.on_planes(volume.array)
    return np.asarray(planes * SLOPE)


def by_plane(ds: Dataset, findings: Findings) -> NDArray[np.float64]:
    """Real world values as highdicom decodes them, in the order of the source's planes."""
    image = highdicom.pm.ParametricMap.from_dataset(ds)
    planes = [np.array(plane.position_mm) for plane in findings.source.planes]
    values = np.full((len(planes), ds.Rows, ds.Columns), np.nan)
    for number, frame in enumerate(ds.PerFrameFunctionalGroupsSequence, start=1):
        place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        (index,) = (i for i, plane in enumerate(planes) if np.abs(plane - place).max() < 1e-6)
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        plane = findings.source.planes[index]
        assert source.ReferencedSOPInstanceUID == plane.dataset.SOPInstanceUID
        assert source.get("ReferencedFrameNumber") == plane.frame_number
        values[index] = image.get_frame(number, apply_real_world_transform=True)
    return values


def test_values_return_on_the_planes_of_the_source(kind: Findings, provenance: Provenance, uids: ResultUids) -> None:
    volume = probabilities(kind)
    ds = reread(parametric.write(volume, PROBABILITY, NO_UNITS, kind, provenance, uids, slope=SLOPE))
    assert (ds.SOPClassUID, ds.FrameOfReferenceUID) == (ParametricMapStorage, FRAME_OF_REFERENCE)
    np.testing.assert_allclose(by_plane(ds, kind), shown(volume, kind), rtol=1e-12, atol=0)


def test_the_self_check_passes_what_was_written(kind: Findings, provenance: Provenance, uids: ResultUids) -> None:
    volume = probabilities(kind)
    ds = parametric.write(volume, PROBABILITY, NO_UNITS, kind, provenance, uids, slope=SLOPE)
    verify(to_bytes(ds), volume, PROBABILITY, kind, slope=SLOPE)


def test_dciodvfy_finds_nothing_on_any_source(
    kind: Findings, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    file = tmp_path / "pm.dcm"
    file.write_bytes(
        to_bytes(parametric.write(probabilities(kind), OTHER, NO_UNITS, kind, provenance, uids, slope=SLOPE))
    )
    # highdicom's converter drops the body part, and what is left for the side is "unknown".
    assert [line for line in complaints(file) if "</Laterality" not in line] == []


def test_the_same_volume_gives_the_same_bytes(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    volume = probabilities(findings)
    one, two = (
        to_bytes(parametric.write(volume, PROBABILITY, NO_UNITS, findings, provenance, uids, slope=SLOPE))
        for _ in range(2)
    )
    assert one == two


def test_quantity_unit_and_range_are_told(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    volume = probabilities(findings)
    ds = reread(
        parametric.write(volume, PROBABILITY, NO_UNITS, findings, provenance, uids, segment=SEGMENTS[2], slope=SLOPE)
    )
    (mapping,) = ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert (mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped) == (0, 65535)
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (SLOPE, 0.0)
    assert (mapping.LUTLabel, mapping.LUTExplanation) == ("Nodule", "Probability: Nodule")
    (unit,) = mapping.MeasurementUnitsCodeSequence
    (quantity,) = mapping.QuantityDefinitionSequence
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("1", "UCUM")
    assert quantity.ConceptCodeSequence[0].CodeValue == PROBABILITY.value


def test_every_segment_has_a_map_of_its_own_in_one_series(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    volume = probabilities(findings)
    maps = [
        reread(parametric.write(volume, concept, NO_UNITS, findings, provenance, uids, segment=segment, slope=SLOPE))
        for concept, segment in ((PROBABILITY, None), (OTHER, None), *((PROBABILITY, one) for one in SEGMENTS))
    ]
    assert len({ds.SOPInstanceUID for ds in maps}) == len(maps)
    assert {ds.SeriesInstanceUID for ds in maps} == {uids.series("map")}


def test_patient_study_and_references_are_those_of_the_source(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = reread(parametric.write(probabilities(findings), OTHER, NO_UNITS, findings, provenance, uids, slope=SLOPE))
    header = findings.source.datasets[0]
    for keyword in ("PatientName", "PatientID", "IssuerOfPatientID", "StudyDescription", "BodyPartExamined"):
        assert ds[keyword].value == header[keyword].value
    assert (ds.StudyInstanceUID, ds.ContentQualification) == (STUDY, "RESEARCH")
    assert referenced_instances(ds) == {f"{SERIES}.{index + 1}" for index in range(SHAPE[0])}


def test_values_of_another_type_are_refused(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    volume = findings.source.volume.with_array(np.zeros(SHAPE, dtype=np.float32))
    with pytest.raises(EncodingError, match="found values of float32, needed uint16"):
        parametric.write(volume, PROBABILITY, NO_UNITS, findings, provenance, uids, slope=SLOPE)


def moved(volume: Volume, by_mm: float) -> Volume:
    affine = np.array(volume.affine)
    affine[0, 3] += by_mm
    return Volume(array=volume.array, affine=affine, coordinate_system="PATIENT")


def test_another_grid_is_refused(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    volume = probabilities(findings)
    for other in (moved(volume, 0.5), volume[1:]):
        with pytest.raises(EncodingError, match="needed the source's"):
            parametric.write(other, OTHER, NO_UNITS, findings, provenance, uids, slope=SLOPE)


def swap_frames(ds: Dataset) -> None:
    first, second = ds.PerFrameFunctionalGroupsSequence[:2]
    first.PlanePositionSequence, second.PlanePositionSequence = (
        second.PlanePositionSequence,
        first.PlanePositionSequence,
    )


def shift_frame(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence[0].ImagePositionPatient[0] += 0.5


def rescale(ds: Dataset) -> None:
    ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0].RealWorldValueSlope *= 1.01


def turn(ds: Dataset) -> None:
    ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, 1, 0, 0]


def elsewhere(ds: Dataset) -> None:
    ds.FrameOfReferenceUID = "1.2.3"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swap_frames, "found the frame of"),
        (shift_frame, "found the frame of"),
        (rescale, "value .* off in frame"),
        (turn, "mm off"),
        (elsewhere, "frame of reference"),
    ],
)
def test_the_self_check_finds_what_is_wrong(
    findings: Findings,
    provenance: Provenance,
    uids: ResultUids,
    change: Callable[[Dataset], None],
    words: str,
) -> None:
    volume = probabilities(findings)
    ds = reread(parametric.write(volume, OTHER, NO_UNITS, findings, provenance, uids, slope=SLOPE))
    change(ds)
    with pytest.raises(EncodingError, match=words):
        verify(to_bytes(ds), volume, OTHER, findings, slope=SLOPE)


def test_the_self_check_finds_another_quantity(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    volume = probabilities(findings)
    encoded = to_bytes(parametric.write(volume, OTHER, NO_UNITS, findings, provenance, uids, slope=SLOPE))
    with pytest.raises(EncodingError, match="found quantity"):
        verify(encoded, volume, PROBABILITY, findings, slope=SLOPE)


def test_a_source_without_body_part_has_an_unknown_side(
    findings: Findings, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    for ds in findings.source.datasets:
        del ds.BodyPartExamined
    file = tmp_path / "pm.dcm"
    ds = parametric.write(probabilities(findings), OTHER, NO_UNITS, findings, provenance, uids, slope=SLOPE)
    file.write_bytes(to_bytes(ds))
    assert [line for line in complaints(file) if line.startswith("Error")] == []
