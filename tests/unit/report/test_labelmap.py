"""The label map: the same mask, codes and references as the SEG, under a name of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import highdicom
import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset, config, dcmread
from pydicom.uid import ExplicitVRLittleEndian, RLELossless
from pydicom.valuerep import DSfloat

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import check, labelmap, measurements, segmentation
from dicomnode.report.encode import to_bytes

from .conftest import findings_in, labels, with_headers
from .reading import referenced_instances, reread

LABELMAP = "1.2.840.10008.5.1.4.1.1.66.7"


def test_the_labels_come_back_through_highdicom_voxel_by_voxel(
    any_findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = reread(labelmap.write(any_findings, provenance, uids))
    assert (ds.SOPClassUID, ds.file_meta.TransferSyntaxUID) == (LABELMAP, RLELossless)
    seg = highdicom.seg.Segmentation.from_dataset(ds)
    read = seg.get_pixels_by_source_instance(
        source_sop_instance_uids=[str(one.SOPInstanceUID) for one in any_findings.source.datasets],
        combine_segments=True,
        assert_missing_frames_are_empty=True,
    )
    expected = labels().copy()
    expected[expected == 5] = 3
    np.testing.assert_array_equal(read, expected)


def test_it_describes_the_background_and_the_segments_of_the_seg(
    any_findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = reread(labelmap.write(any_findings, provenance, uids))
    seg = reread(segmentation.write(any_findings, provenance, uids))
    background, *others = ds.SegmentSequence
    assert (background.SegmentNumber, background.SegmentedPropertyTypeCodeSequence[0].CodeValue) == (0, "125040")
    assert [one.TrackingUID for one in others] == [one.TrackingUID for one in seg.SegmentSequence]
    assert [one.SegmentNumber for one in others] == [one.SegmentNumber for one in seg.SegmentSequence]
    assert {ds.SOPInstanceUID, ds.SeriesInstanceUID}.isdisjoint({seg.SOPInstanceUID, seg.SeriesInstanceUID})


def test_the_same_findings_make_the_same_bytes_and_pass_the_self_check(
    any_findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    first, second = (labelmap.write(any_findings, provenance, uids) for _ in range(2))
    assert first is not None and second is not None
    data = to_bytes(first)
    assert data == to_bytes(second)
    labelmap.verify(data, any_findings)


def test_a_report_can_refer_to_it(any_findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    mask = labelmap.write(any_findings, provenance, uids)
    assert mask is not None
    assert mask.SOPInstanceUID in referenced_instances(measurements.write(any_findings, provenance, uids, mask))


@pytest.mark.parametrize("fault", ["flipped", "shifted", "renamed"])
def test_the_self_check_finds_what_differs(
    any_findings: Findings, provenance: Provenance, uids: ResultUids, fault: str
) -> None:
    made = labelmap.write(any_findings, provenance, uids)
    assert made is not None
    ds = dcmread(BytesIO(to_bytes(made)))
    ds.decompress(generate_instance_uid=False)
    if fault == "flipped":
        ds.PixelData = ds.pixel_array[..., ::-1].tobytes()
    elif fault == "shifted":
        frames = ds.PerFrameFunctionalGroupsSequence
        place = frames[0].PlanePositionSequence[0]
        place.ImagePositionPatient = [float(one) + 40 for one in place.ImagePositionPatient]
    else:
        ds.SegmentSequence[-1].SegmentNumber = 9
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    with pytest.raises(EncodingError, match="label map"):
        labelmap.verify(buffer.getvalue(), any_findings)


def _spacing(ds: Dataset) -> None:
    ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [5.0, 5.0]


def _orientation(ds: Dataset) -> None:
    plane = ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    plane.ImageOrientationPatient = [-float(one) for one in plane.ImageOrientationPatient]


def _frame_of_reference(ds: Dataset) -> None:
    ds.FrameOfReferenceUID = "2.25.99"


def _type(ds: Dataset) -> None:
    ds.SegmentSequence[-1].SegmentedPropertyTypeCodeSequence[0].CodeValue = "10200004"


def _patient(ds: Dataset) -> None:
    ds.PatientID = "ANOTHER"


def _source(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[
        0
    ].ReferencedSOPInstanceUID = "2.25.77"


@pytest.mark.parametrize("kind", ["seg", "labelmap"])
@pytest.mark.parametrize("change", [_spacing, _orientation, _frame_of_reference, _type, _patient, _source])
def test_a_mask_with_another_place_or_meaning_is_caught(
    any_findings: Findings,
    provenance: Provenance,
    uids: ResultUids,
    kind: str,
    change: Callable[[Dataset], None],
) -> None:
    writer, verify = (segmentation, check.verify) if kind == "seg" else (labelmap, labelmap.verify)
    made = writer.write(any_findings, provenance, uids)
    assert made is not None
    ds = dcmread(BytesIO(to_bytes(made)))
    change(ds)
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    with pytest.raises(EncodingError, match=r"found .* needed|mm off") as caught:
        verify(buffer.getvalue(), any_findings)
    assert "ANOTHER" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Value exceeds the maximum length:UserWarning")
def test_positions_with_more_digits_than_a_decimal_string_holds_are_met_all_the_same(
    provenance: Provenance, uids: ResultUids
) -> None:
    findings = findings_in("oblique")
    for ds in findings.source.datasets:
        longer = [float(one) + 1.2345678e-11 for one in ds.ImagePositionPatient]
        ds.ImagePositionPatient = [DSfloat(one, validation_mode=config.IGNORE) for one in longer]
    made = labelmap.write(findings, provenance, uids)
    assert made is not None
    labelmap.verify(to_bytes(made), findings)


def test_frames_of_an_odd_number_of_pixels_are_encoded_too(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    def change(_: int, ds: Dataset) -> None:
        ds.Columns = 25

    def cropped(volume: Volume) -> Volume:
        return Volume(
            array=volume.array[:, :, :25],
            affine=volume.affine,
            coordinate_system="PATIENT",
            frame_of_reference_uid=volume.frame_of_reference_uid,
        )

    whole = with_headers(findings, change)
    narrow = replace(
        whole,
        source=replace(whole.source, volume=cropped(whole.source.volume)),
        segmentation=replace(whole.segmentation, volume=cropped(whole.segmentation.volume)),
    )
    ds = labelmap.write(narrow, provenance, uids)
    assert ds is not None
    assert (ds.file_meta.TransferSyntaxUID, ds.SOPInstanceUID) == (RLELossless, uids.instance("labelmap"))
    labelmap.verify(to_bytes(ds), narrow)
