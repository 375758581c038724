"""What several people or programs drew on one earlier study beside what the model finds there."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.sr.coding import Code as PydicomCode

from dicomnode.domain.model import ModelSpec
from dicomnode.domain.prior import PriorFile, PriorKind
from dicomnode.flow.comparing.earlier import earlier
from dicomnode.infer.network.session import Sessions
from tests.unit.flow import test_compare
from tests.unit.flow.test_compare import GROWS, SHRINKS, compared, files, kept, mask_of, prior_of, run
from tests.unit.infer.contours.drawn import structure_set

before, now, model = test_compare.before, test_compare.now, test_compare.model
sessions, saved, unmoved = test_compare.sessions, test_compare.saved, test_compare.unmoved

LUNG = PydicomCode("39607008", "SCT", "Lung")

#: Where no lesion lies.
ELSEWHERE = (0.0, 40.0, 60.0)


def outlined(
    before: list[Path], folder: Path, name: str, where: tuple[float, float, float], radius: float
) -> PriorFile:
    """A structure set that a person has drawn on a study: one ball."""
    header = dcmread(before[0], stop_before_pixels=True)
    (x, y, middle), contours = where, []
    for level in sorted(float(dcmread(path, stop_before_pixels=True).ImagePositionPatient[2]) for path in before):
        if abs(level - middle) < radius:
            within = math.sqrt(radius**2 - (level - middle) ** 2)
            turns = np.linspace(0, 2 * math.pi, 40, endpoint=False)
            item = Dataset()
            item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(turns)
            around = np.c_[x + within * np.cos(turns), y + within * np.sin(turns), np.full(len(turns), level)]
            item.ContourData = [round(float(value), 2) for value in around.ravel()]
            contours.append(item)
    drawn = structure_set({name: contours}, frame=str(header.FrameOfReferenceUID), series=header.SeriesInstanceUID)
    drawn.StudyInstanceUID, drawn.PatientID = header.StudyInstanceUID, header.PatientID
    path = folder / "drawn.dcm"
    drawn.save_as(path, enforce_file_format=True)
    return dataclasses.replace(files([path], PriorKind.CONTOURS)[0], own=False)


def test_a_planning_contour_takes_the_place_of_no_lesion_that_lies_elsewhere(
    before: list[Path], model: ModelSpec, sessions: Sessions, tmp_path: Path
) -> None:
    alone = earlier(prior_of(before), model, sessions)
    gtv = outlined(before, tmp_path, "GTV", ELSEWHERE, 12.0)
    beside = earlier(prior_of(before, gtv), model, sessions)
    assert beside.point.lesions == alone.point.lesions
    assert any("GTV drawn by a person in no organ that the model names" in text for text in beside.remarks)


@pytest.mark.usefixtures("unmoved")
@pytest.mark.parametrize("turned", [False, True])
def test_targets_that_a_person_names_are_not_lost_by_another_object(
    before: list[Path], now: list[Path], model: ModelSpec, sessions: Sessions, tmp_path: Path, turned: bool
) -> None:
    stored = kept(run(before, model, sessions, wanted=("seg", "sr")), tmp_path / "first")
    objects = [
        mask_of(before, _folder(tmp_path, name), LUNG, ball, names=(name,))
        for name, ball in (("T01", (GROWS[0], 12.0)), ("Nodule left", (SHRINKS[0], 15.0)))
    ]
    prior = prior_of(before, *stored, *(objects[::-1] if turned else objects))
    found = compared(now, model, sessions, prior).priors[0]
    assert found.chosen and [round(one.longest_mm or 0) for one in found.lesions if one.target] == [
        pytest.approx(24, abs=4)
    ]
    assert len(found.lesions) == 3


@pytest.mark.usefixtures("unmoved")
def test_targets_in_an_object_each_are_all_targets_and_of_one_name_the_newer_counts(
    before: list[Path], now: list[Path], model: ModelSpec, sessions: Sessions, tmp_path: Path
) -> None:
    stored = kept(run(before, model, sessions, wanted=("seg", "sr")), tmp_path / "first")
    old, new, other = (
        mask_of(before, _folder(tmp_path, folder), LUNG, ball, names=(name,))
        for folder, name, ball in (
            ("old", "T01", (SHRINKS[0], 8.0)), ("new", "T01", (GROWS[0], 12.0)), ("b", "T02", (SHRINKS[0], 15.0)),
        )
    )  # fmt: skip
    for file, day in ((old, "20260101"), (new, "20260102"), (other, "20260102")):
        ds = dcmread(file.path)
        ds.ContentDate = day
        ds.save_as(file.path)
    found = compared(now, model, sessions, prior_of(before, *stored, new, other, old)).priors[0]
    sizes = sorted(one.longest_mm or 0 for one in found.lesions if one.target)
    assert sizes == pytest.approx([24.0, 30.0], abs=4.0)
    assert {new.sop_instance_uid, other.sop_instance_uid} < {one.sop_instance_uid for one in found.references}


def test_a_bundle_that_names_no_organ_looks_at_all_that_a_person_drew(
    before: list[Path], model: ModelSpec, sessions: Sessions, tmp_path: Path
) -> None:
    anywhere = dataclasses.replace(
        model, segments=tuple(dataclasses.replace(one, anatomic_region=None) for one in model.segments)
    )
    drawn = mask_of(before, tmp_path, None, (ELSEWHERE, 12.0), names=("Met",))
    told = earlier(prior_of(before, drawn), anywhere, sessions)
    assert "Met" in [one.label for one in told.point.lesions] and not told.remarks


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder
