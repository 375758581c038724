"""Our own reports, read back as lesions with their tracking UIDs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from dicomnode.domain.code import Code
from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Findings, Measurement, Provenance
from dicomnode.domain.model import Subject
from dicomnode.domain.uid import ResultUids
from dicomnode.report import encode, labelmap, measurements, segmentation
from dicomnode.report.earlier import centroids, read_lesions

from .conftest import ORIENTATIONS, SEGMENTS, findings_in

NODULE = tuple(dataclasses.replace(one, subject=Subject.LESION) if one.label == "Nodule" else one for one in SEGMENTS)
MILLIMETER = Code(value="mm", scheme="UCUM", meaning="millimeter")


def with_axes(findings: Findings) -> Findings:
    """The findings with the diameters of the nodule."""
    rows = [
        Measurement(segment_number=5, name=Code(value=value, scheme="SCT", meaning=name), value=mm, unit=MILLIMETER)
        for value, name, mm in (("103339001", "Long axis", 12.25), ("103340004", "Short axis", 7.5))
    ]
    return dataclasses.replace(findings, measurements=(*findings.measurements, *rows))


def write(folder: Path, name: str, dataset: Any) -> Path:
    path = folder / f"{name}.dcm"
    path.write_bytes(encode.to_bytes(dataset))
    return path


@pytest.mark.parametrize("name", sorted(ORIENTATIONS))
def test_a_report_gives_back_its_lesions_with_numbers_and_places(
    name: str, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    findings = with_axes(findings_in(name))
    mask = segmentation.write(findings, provenance, uids)
    assert mask is not None
    paths = [write(tmp_path, "sr", measurements.write(findings, provenance, uids, mask))]
    model = provenance.model
    found = read_lesions(paths, [write(tmp_path, "seg", mask)], model.name, model.version, NODULE)
    assert found is not None
    (lesion,) = found
    assert (lesion.label, lesion.tracking_uid) == ("Nodule", uids.tracking(5))
    assert (lesion.longest_mm, lesion.short_mm, lesion.lymph_node, lesion.target) == (12.25, 7.5, False, False)
    volume = next(one for one in findings.measurements if one.segment_number == 5 and one.method is not None)
    assert lesion.volume_ml == pytest.approx(volume.value)
    places = np.argwhere(findings.segmentation.volume.array == 5).mean(axis=0)
    expected = np.asarray(findings.segmentation.volume.affine) @ [*places, 1]
    assert lesion.centroid_mm == pytest.approx(tuple(expected[:3]), abs=1e-3)


def test_a_label_map_has_the_same_places(provenance: Provenance, uids: ResultUids) -> None:
    findings = findings_in("oblique")
    binary, labels = segmentation.write(findings, provenance, uids), labelmap.write(findings, provenance, uids)
    assert binary is not None and labels is not None
    ours, theirs = centroids(binary), centroids(labels)
    assert set(ours) == {uids.tracking(number) for number in (1, 2, 5)} and set(ours) <= set(theirs)
    for uid, place in ours.items():
        assert theirs[uid] == pytest.approx(place, abs=1e-6)


def test_another_model_or_version_and_no_report_are_no_answer(
    provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    path = write(tmp_path, "sr", measurements.write(findings_in("axial"), provenance, uids, None))
    model = provenance.model
    assert read_lesions([path], [], model.name, "0.0.1", NODULE) is None
    assert read_lesions([path], [], "another", model.version, NODULE) is None
    assert read_lesions([], [], model.name, model.version, NODULE) is None


def test_a_report_that_nothing_was_found_has_no_lesions(
    provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    empty = findings_in("axial", np.zeros(findings_in("axial").segmentation.volume.array.shape, np.uint8))
    path = write(tmp_path, "sr", measurements.write(empty, provenance, uids, None))
    model = provenance.model
    assert read_lesions([path], [], model.name, model.version, NODULE) == ()


def test_without_a_mask_the_places_are_not_known(provenance: Provenance, uids: ResultUids, tmp_path: Path) -> None:
    path = write(tmp_path, "sr", measurements.write(findings_in("axial"), provenance, uids, None))
    model = provenance.model
    found = read_lesions([path], [], model.name, model.version, NODULE)
    assert found is not None and [one.centroid_mm for one in found] == [None] and found[0].longest_mm is None


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no report")
    with pytest.raises(Unsuitable, match="cannot be read"):
        read_lesions([tmp_path / "text"], [], "chest-ct", "1.0.0", NODULE)


def test_a_target_is_read_from_its_code(provenance: Provenance, uids: ResultUids, tmp_path: Path) -> None:
    path = write(tmp_path, "sr", measurements.write(findings_in("axial"), provenance, uids, None))
    report = dcmread(path)
    groups = [item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"]
    for group in groups[0].ContentSequence:
        target = dcmread(path).ContentSequence[0]
        target.RelationshipType, target.ValueType = "CONTAINS", "CODE"
        code = target.ConceptNameCodeSequence[0]
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "112074", "DCM", "Target Lesion at Baseline"
        target.ConceptCodeSequence = [code]
        group.ContentSequence.append(target)
    report.save_as(path)
    found = read_lesions([path], [], provenance.model.name, provenance.model.version, NODULE)
    assert found is not None and [one.target for one in found] == [True]
