"""Contours are of the patient of their images also where an archive has corrected who that is."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.identity import Correction, StudyIdentity, correct
from dicomnode.infer.contours.read import read_contours
from tests.unit.infer.contours.drawn import contour, saved, source, square, structure_set


def test_what_was_drawn_before_the_correction_is_read_with_the_corrected_images(tmp_path: Path) -> None:
    images = source()
    path = saved(structure_set({"GTV": [contour(images, square(2, 2.5, 3.5, 7.5, 9.5))]}), tmp_path)
    said = StudyIdentity.of_dataset(images.datasets[0])
    correction = Correction(before=said, after=StudyIdentity(values={**said.values, "PatientID": "P2"}))
    for header in images.datasets:
        correct(header, [correction])
    with pytest.raises(Unsuitable, match="another PatientID"):
        read_contours([path], images)
    assert len(read_contours([path], images, [correction]).segmentation.segments) == 1
