"""A SEG that does not show the mask is caught before it leaves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.utils import pack_bits

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import segmentation
from dicomnode.report.check import verify
from dicomnode.report.encode import to_bytes

from .conftest import SHAPE, findings_in, labels


def written(findings: Findings, provenance: Provenance, uids: ResultUids) -> Dataset:
    seg = segmentation.write(findings, provenance, uids)
    assert seg is not None
    return seg


def test_what_was_written_passes(any_findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    verify(to_bytes(written(any_findings, provenance, uids)), any_findings)


@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mask_passes(provenance: Provenance, uids: ResultUids, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    array = rng.choice(np.array([0, 1, 2, 5], dtype=np.uint8), size=SHAPE, p=[0.7, 0.1, 0.1, 0.1])
    findings = findings_in(data.draw(st.sampled_from(["axial", "reversed", "sagittal", "oblique"])), array)
    verify(to_bytes(written(findings, provenance, uids)), findings)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mask_flipped_along_any_axis_is_caught(
    any_findings: Findings, provenance: Provenance, uids: ResultUids, axis: int
) -> None:
    name = next(
        name
        for name in ("axial", "reversed", "sagittal", "oblique")
        if np.allclose(findings_in(name).segmentation.volume.affine, any_findings.segmentation.volume.affine)
    )
    flipped = findings_in(name, np.ascontiguousarray(np.flip(labels(), axis=axis)))
    with pytest.raises(EncodingError, match=r"segment 1 \(Lung right\): found .* needed"):
        verify(to_bytes(written(flipped, provenance, uids)), any_findings)


def shifted(seg: Dataset) -> None:
    for frame in seg.PerFrameFunctionalGroupsSequence:
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        position[0] = float(position[0]) + 0.5


def turned(seg: Dataset) -> None:
    orientation = seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    orientation.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]


def stretched(seg: Dataset) -> None:
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [0.75, 0.52]


def swapped_frames(seg: Dataset) -> None:
    for frame in seg.PerFrameFunctionalGroupsSequence:
        item = frame.SegmentIdentificationSequence[0]
        item.ReferencedSegmentNumber = {1: 2, 2: 1}.get(item.ReferencedSegmentNumber, item.ReferencedSegmentNumber)


def swapped_sides(seg: Dataset) -> None:
    first, second = (item.SegmentedPropertyTypeCodeSequence for item in seg.SegmentSequence[:2])
    seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence = second
    seg.SegmentSequence[1].SegmentedPropertyTypeCodeSequence = first


def without_a_segment(seg: Dataset) -> None:
    seg.SegmentSequence = seg.SegmentSequence[:2]


def with_a_voxel_less(seg: Dataset) -> None:
    bits: NDArray[np.uint8] = np.unpackbits(np.frombuffer(seg.PixelData, dtype=np.uint8), bitorder="little")
    bits[np.flatnonzero(bits)[0]] = 0
    seg.PixelData = pack_bits(bits)


def with_planes_swapped(seg: Dataset) -> None:
    first, second = seg.PerFrameFunctionalGroupsSequence[:2]
    first.PlanePositionSequence, second.PlanePositionSequence = (
        second.PlanePositionSequence,
        first.PlanePositionSequence,
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shifted, r"SEG: found the frame of [\d.]+ at \(.*\) mm, needed \(.*\) mm"),
        (turned, r"SEG: found next column at \(-0\.50, 0\.00, 0\.00\) mm, needed \(0\.50, 0\.00, 0\.00\) mm"),
        (stretched, r"segment 1 \(Lung right\): found centroid"),
        (swapped_frames, r"segment 1 \(Lung right\): found \d+ voxels in the SEG, needed \d+"),
        (swapped_sides, r"segment 1 \(Lung right\): found type and side \('39607008', '7771000'\), needed"),
        (without_a_segment, r"SEG: found segments \[1, 2\], needed \[1, 2, 3\]"),
        (with_a_voxel_less, r"segment 1 \(Lung right\): found \d+ voxels in the SEG, needed \d+"),
        (with_planes_swapped, r"SEG: found the frame of [\d.]+ at \(.*\) mm"),
    ],
)
def test_a_spoilt_seg_is_caught_and_the_segment_named(
    findings: Findings,
    provenance: Provenance,
    uids: ResultUids,
    spoil: Callable[[Dataset], None],
    message: str,
) -> None:
    seg = written(findings, provenance, uids)
    spoil(seg)
    with pytest.raises(EncodingError, match=message):
        verify(to_bytes(seg), findings)


def test_bytes_that_are_no_seg_are_an_error(findings: Findings) -> None:
    with pytest.raises(EncodingError, match="SEG read back"):
        verify(b"\x00" * 200, findings)
