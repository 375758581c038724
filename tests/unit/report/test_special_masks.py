"""Masks in the forms that only some destinations ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from highdicom.seg import Segmentation
from pydicom import dcmread

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.masks import masks
from dicomnode.flow.suited import ALL_FRAMES, WITHOUT_BACKGROUND
from dicomnode.report import check, labelmap, segmentation
from dicomnode.report.encode import to_bytes

from .reading import reread
from .test_validators import complaints


def test_a_seg_with_all_frames_has_one_of_every_segment_for_every_image(
    any_findings: Findings, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    ds = segmentation.write(any_findings, provenance, uids, empty_frames=True)
    assert ds is not None
    images, segments = len(any_findings.source.planes), len(ds.SegmentSequence)
    assert ds.NumberOfFrames == images * segments
    check.verify(to_bytes(ds), any_findings)
    file = tmp_path / "seg.dcm"
    file.write_bytes(to_bytes(ds))
    assert complaints(file) == []
    assert Segmentation.from_dataset(dcmread(file)).number_of_segments == segments


def test_a_label_map_without_background_describes_its_segments_alone(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = labelmap.write(findings, provenance, uids, background=False)
    assert ds is not None
    assert 0 not in {item.SegmentNumber for item in reread(ds).SegmentSequence} and ds.PixelPaddingValue == 0
    labelmap.verify(to_bytes(ds), findings, background=False)
    with pytest.raises(EncodingError, match="found segments"):
        labelmap.verify(to_bytes(ds), findings)


def test_every_form_has_a_name_of_its_own_and_the_same_twice(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    wanted = ("seg", "labelmap", ALL_FRAMES, WITHOUT_BACKGROUND)
    made, again = ([one for _, write in masks(findings, wanted, provenance, uids) for one in write()] for _ in "ab")
    assert [(one.role, one.stands_in) for one in made] == [
        ("seg", False), ("labelmap", False), (ALL_FRAMES, True), (WITHOUT_BACKGROUND, True)
    ]  # fmt: skip
    assert len({str(one.dataset.SOPInstanceUID) for one in made}) == 4
    assert [one.data for one in again] == [one.data for one in made]
    assert list(masks(findings, ("sr", ALL_FRAMES), provenance, uids)) == [], "no mask where the rule asks for none"
