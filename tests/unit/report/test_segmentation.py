"""The SEG: segments, codes, references, identity and repeatable bytes."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import highdicom
import numpy as np
import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance, planes_of
from dicomnode.domain.uid import ResultUids
from dicomnode.report import segmentation
from dicomnode.report.encode import to_bytes

from .conftest import FRAME_OF_REFERENCE, SERIES, SHAPE, findings_in, labels, with_headers
from .reading import referenced_instances, reread

#: Specific Character Set of the source and a name in it.
NAMES = [
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ("ISO_IR 144", "Люкceмбypг^Анна"),
    ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
    ("ISO_IR 100", "Äneas^Rüdiger"),
    ("ISO_IR 100", "Bono"),
]


def as_received(ds: Dataset) -> Dataset:
    """A header that has been through a file in its own character set, as intake reads it."""
    buffer = BytesIO()
    dcmwrite(buffer, ds, implicit_vr=False, little_endian=True)
    buffer.seek(0)
    return dcmread(buffer, force=True)


def test_a_seg_is_binary_explicit_and_on_the_source_grid(
    any_findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = reread(segmentation.write(any_findings, provenance, uids))
    assert ds.SOPClassUID == SegmentationStorage
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert ds.SegmentationType == "BINARY"
    assert (ds.Rows, ds.Columns) == SHAPE[1:]
    assert ds.FrameOfReferenceUID == FRAME_OF_REFERENCE
    assert (ds.SOPInstanceUID, ds.SeriesInstanceUID) == (uids.instance("seg"), uids.series("seg"))
    assert ds.ReferencedSeriesSequence[0].SeriesInstanceUID == SERIES


def test_the_mask_comes_back_through_highdicom_voxel_by_voxel(
    any_findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    seg = highdicom.seg.Segmentation.from_dataset(reread(segmentation.write(any_findings, provenance, uids)))
    instances = [str(ds.SOPInstanceUID) for ds in any_findings.source.datasets]
    read = seg.get_pixels_by_source_instance(
        source_sop_instance_uids=instances,
        combine_segments=True,
        assert_missing_frames_are_empty=True,
    )
    expected = labels().copy()
    expected[expected == 5] = 3
    np.testing.assert_array_equal(read, expected)


def test_present_segments_are_numbered_from_one_without_gaps(provenance: Provenance, uids: ResultUids) -> None:
    array = labels()
    array[array == 1] = 0
    findings = findings_in("axial", array)
    assert segmentation.segment_numbers(findings) == {2: 1, 5: 2}
    ds = reread(segmentation.write(findings, provenance, uids))
    assert [(item.SegmentNumber, item.SegmentLabel) for item in ds.SegmentSequence] == [(1, "Lung left"), (2, "Nodule")]
    assert [item.TrackingUID for item in ds.SegmentSequence] == [uids.tracking(2), uids.tracking(5)]


def test_segments_carry_codes_with_the_side_nested_and_the_algorithm(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    right, _, nodule = reread(segmentation.write(findings, provenance, uids)).SegmentSequence
    kind = right.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue) == ("39607008", "24028007")
    assert right.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "91723000"
    assert right.SegmentAlgorithmType == "AUTOMATIC"
    assert nodule.AnatomicRegionSequence[0].CodeValue == "39607008"
    algorithm = nodule.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("chest-ct", "1.0.0")
    assert "status=demo" in algorithm.AlgorithmParameters
    assert len(right.RecommendedDisplayCIELabValue) == 3


def test_the_side_of_a_lesion_qualifies_its_region(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    mask = findings.segmentation
    sided = tuple(replace(segment, laterality=mask.segments[0].laterality) for segment in mask.segments)
    changed = replace(findings, segmentation=replace(mask, segments=sided))
    nodule = reread(segmentation.write(changed, provenance, uids)).SegmentSequence[2]
    assert nodule.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0].CodeValue == "24028007"
    assert "SegmentedPropertyTypeModifierCodeSequence" not in nodule.SegmentedPropertyTypeCodeSequence[0]


def test_an_overlong_label_is_shortened(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    mask = findings.segmentation
    renamed = tuple(replace(segment, label="L" * 80) for segment in mask.segments)
    ds = reread(segmentation.write(replace(findings, segmentation=replace(mask, segments=renamed)), provenance, uids))
    assert {item.SegmentLabel for item in ds.SegmentSequence} == {"L" * 64}


def test_an_empty_mask_makes_no_seg(empty_findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    assert segmentation.write(empty_findings, provenance, uids) is None
    assert segmentation.segment_numbers(empty_findings) == {}


def test_empty_frames_are_left_out(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    ds = reread(segmentation.write(findings, provenance, uids))
    array = labels()
    assert ds.NumberOfFrames == sum((array == number).any(axis=(1, 2)).sum() for number in (1, 2, 5))


def test_the_same_analysis_has_the_same_bytes(provenance: Provenance, uids: ResultUids) -> None:
    first, second = (segmentation.write(findings_in("oblique"), provenance, uids) for _ in range(2))
    assert first is not None
    assert second is not None
    assert to_bytes(first) == to_bytes(second)


def test_all_references_are_to_the_source(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    ds = reread(segmentation.write(findings, provenance, uids))
    assert referenced_instances(ds) == {str(source.SOPInstanceUID) for source in findings.source.datasets}


def test_patient_and_study_are_those_of_the_source(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds, source = reread(segmentation.write(findings, provenance, uids)), findings.source.datasets[0]
    for keyword in (
        "PatientID",
        "IssuerOfPatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyDescription",
        "StudyDate",
        "AccessionNumber",
        "BodyPartExamined",
    ):
        assert ds[keyword].value == source[keyword].value, keyword
    assert ds.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize(("character_set", "name"), NAMES)
def test_a_name_survives_in_unicode_whatever_the_source_was_written_in(
    findings: Findings, provenance: Provenance, uids: ResultUids, character_set: str | list[str], name: str
) -> None:
    def change(_: int, ds: Dataset) -> None:
        ds.SpecificCharacterSet, ds.PatientName = character_set, name

    received = tuple(as_received(ds) for ds in with_headers(findings, change).source.datasets)
    changed = replace(findings, source=replace(findings.source, planes=planes_of(received)))
    ds = reread(segmentation.write(changed, provenance, uids))
    assert str(ds.PatientName) == name
    assert ds.SpecificCharacterSet == "ISO_IR 192"


def test_two_patients_are_an_error(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    findings.source.datasets[3].PatientID = "P-2"
    with pytest.raises(EncodingError, match="found 2 patients, needed one"):
        segmentation.write(findings, provenance, uids)


def test_a_mask_on_another_grid_is_an_error(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    for ds in findings.source.datasets:
        ds.Rows = 99
    with pytest.raises(EncodingError, match=f"SEG of series {SERIES}: found ValueError"):
        segmentation.write(findings, provenance, uids)


def test_a_mask_of_other_slices_is_an_error(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    fewer = replace(findings, source=replace(findings.source, planes=findings.source.planes[:-1]))
    with pytest.raises(EncodingError, match="mask: found 12 slices, needed one for each of 11 planes"):
        segmentation.write(fewer, provenance, uids)


def test_lossy_compression_of_the_source_is_told(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    def change(_: int, ds: Dataset) -> None:
        ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", 12
        ds.LossyImageCompressionMethod = "ISO_10918_1"

    ds = reread(segmentation.write(with_headers(findings, change), provenance, uids))
    assert (ds.LossyImageCompression, ds.LossyImageCompressionRatio) == ("01", 12)
