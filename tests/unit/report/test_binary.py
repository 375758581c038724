"""The frames of a SEG against those that highdicom makes of the whole mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import highdicom
import numpy as np
import pytest
from highdicom.seg import SegmentationTypeValues
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import segmentation
from dicomnode.report.extent import extent_of
from dicomnode.report.normalise import normalised

from .conftest import SHAPE, findings_in, labels
from .phantoms import tilted
from .reading import reread


def only(*numbers: int) -> NDArray[np.uint8]:
    """The mask with some of its segments."""
    return np.where(np.isin(labels(), numbers), labels(), 0).astype(np.uint8)


def with_gap() -> NDArray[np.uint8]:
    """An empty plane between others."""
    array = labels()
    array[5] = 0
    return array


def on_one_plane() -> NDArray[np.uint8]:
    array = np.zeros(SHAPE, dtype=np.uint8)
    array[4, 3:7, 2:9] = 2
    return array


def apart(array: NDArray[np.uint8], moved: Callable[[int], float]) -> Findings:
    """The axial phantom with its planes moved along the normal, mm."""
    findings = findings_in("axial", array)
    for index, ds in enumerate(findings.source.datasets):
        x, y, z = (float(one) for one in ds.ImagePositionPatient)
        ds.ImagePositionPatient = [x, y, f"{z + moved(index):.6g}"]
    return findings


CASES: dict[str, Callable[[], Findings]] = {
    **{name: lambda name=name: findings_in(name) for name in ("axial", "reversed", "sagittal", "oblique")},  # type: ignore[misc]
    "one segment": lambda: findings_in("axial", only(2)),
    "one segment, reversed": lambda: findings_in("reversed", only(2)),
    "one segment with a gap": lambda: findings_in("axial", np.where(with_gap() == 2, 2, 0).astype(np.uint8)),
    "gap": lambda: findings_in("oblique", with_gap()),
    "one plane": lambda: findings_in("axial", on_one_plane()),
    "irregular beside the mask": lambda: apart(labels(), lambda index: 7.0 * (index == 11)),
    "irregular": lambda: apart(labels(), lambda index: 0.1 * index * index),
    "irregular, one plane": lambda: apart(on_one_plane(), lambda index: 0.1 * index * index),
    "tilted": tilted,
}


def by_highdicom(findings: Findings, *, empty_frames: bool) -> Dataset:
    """A SEG of the whole mask from highdicom's constructor, with the same segments."""
    extent = extent_of(findings)
    (header,) = normalised(findings.source, (0,))
    shown = np.flatnonzero(extent.mask.any(axis=(1, 2)))
    span = range(len(extent.mask)) if empty_frames else range(shown[0], shown[-1] + 1)
    pixels = np.zeros((len(span), *extent.mask.shape[1:]), dtype=np.uint8)
    for number, place in extent.numbers.items():
        pixels[extent.mask[span.start : span.stop] == number] = place
    return highdicom.seg.Segmentation(
        source_images=[header],
        plane_positions=[
            highdicom.PlanePositionSequence("PATIENT", findings.source.planes[index].dataset.ImagePositionPatient)
            for index in span
        ],
        pixel_array=pixels,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            highdicom.seg.SegmentDescription(
                segment_number=place,
                segment_label=str(place),
                segmented_property_category=codes.SCT.AnatomicalStructure,
                segmented_property_type=codes.SCT.Lung,
                algorithm_type="MANUAL",
            )
            for place in extent.numbers.values()
        ],
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="",
        manufacturer_model_name="",
        software_versions="",
        device_serial_number="",
        omit_empty_frames=not empty_frames,
    )


@pytest.mark.filterwarnings("ignore:The string .* is unlikely to represent the intended person name:UserWarning")
@pytest.mark.parametrize("empty_frames", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_frames_and_bits_are_those_of_highdicom(
    name: str, empty_frames: bool, provenance: Provenance, uids: ResultUids
) -> None:
    findings = CASES[name]()
    ours = reread(segmentation.write(findings, provenance, uids, empty_frames=empty_frames))
    theirs = reread(by_highdicom(findings, empty_frames=empty_frames))
    for keyword in ("Rows", "Columns", "NumberOfFrames", "BitsAllocated", "SegmentsOverlap"):
        assert ours[keyword].value == theirs[keyword].value, keyword
    assert ours.get("DimensionOrganizationType") == theirs.get("DimensionOrganizationType")
    assert ours.SharedFunctionalGroupsSequence == theirs.SharedFunctionalGroupsSequence
    assert [item.DimensionIndexPointer for item in ours.DimensionIndexSequence] == [
        item.DimensionIndexPointer for item in theirs.DimensionIndexSequence
    ]
    frames = list(zip(ours.PerFrameFunctionalGroupsSequence, theirs.PerFrameFunctionalGroupsSequence, strict=True))
    for mine, needed in frames:
        for keyword in ("FrameContentSequence", "PlanePositionSequence", "SegmentIdentificationSequence"):
            assert mine.get(keyword) == needed.get(keyword)
    # Behind the last bit highdicom pads with the digit 0, which PS3.5 8.2 leaves open.
    used = -(-ours.Rows * ours.Columns * ours.NumberOfFrames // 8)
    assert ours.PixelData[:used] == theirs.PixelData[:used]


def test_planes_in_one_place_are_an_error(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    planes = list(findings.source.planes)
    planes[6].dataset.ImagePositionPatient = planes[5].dataset.ImagePositionPatient
    changed = replace(findings, source=replace(findings.source, planes=tuple(planes)))
    with pytest.raises(EncodingError, match=r"SEG of series .*: found ValueError"):
        segmentation.write(changed, provenance, uids)
