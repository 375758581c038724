"""The mask as a DICOM Segmentation on the grid of its source."""

from __future__ import annotations

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from highdicom.seg import Segmentation as SegmentationObject
from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.model import Segment
from dicomnode.domain.uid import ResultUids, derived_uid
from dicomnode.report.boundary import encoding
from dicomnode.report.identity import nameless
from dicomnode.report.normalise import normalised
from dicomnode.report.provenance import algorithm, equipment, series_number, shortened, stamp

ROLE = "seg"


def present(findings: Findings) -> tuple[Segment, ...]:
    """The segments with at least one voxel, by ascending number.

    One comparison per segment: counting all labels of 300 slices at once needs 600 MB.
    """
    array = findings.segmentation.volume.array
    ordered = sorted(findings.segmentation.segments, key=lambda segment: segment.number)
    return tuple(segment for segment in ordered if (array == segment.number).any())


def segment_numbers(findings: Findings) -> dict[int, int]:
    """Segment number in the mask → number in the SEG, which has to count from 1 without gaps (PS3.3 C.8.20.2)."""
    return {segment.number: position for position, segment in enumerate(present(findings), start=1)}


def write(findings: Findings, provenance: Provenance, uids: ResultUids) -> Dataset | None:
    """A BINARY Segmentation (PS3.3 A.51) with one segment per present segment, empty frames left out.

    The same findings, provenance and UIDs give the same bytes.

    Returns
    -------
    The object in Explicit VR Little Endian, or None for an empty mask.

    Raises
    ------
    EncodingError
        If the source mixes patients or series, lacks a frame of reference, or does not match the mask.
    """
    segments = present(findings)
    if not segments:
        return None
    headers = normalised(findings.source)
    lookup = np.zeros(256, dtype=np.uint8)
    for position, segment in enumerate(segments, start=1):
        lookup[segment.number] = position
    with encoding(f"SEG of series {headers[0].SeriesInstanceUID}"):
        result = SegmentationObject(
            source_images=[nameless(headers[0]), *headers[1:]],
            pixel_array=lookup[findings.segmentation.volume.array],
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _description(segment, position, provenance, uids) for position, segment in enumerate(segments, start=1)
            ],
            series_instance_uid=uids.series(ROLE),
            series_number=series_number(ROLE, provenance.rule),
            sop_instance_uid=uids.instance(ROLE),
            instance_number=1,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            content_label="AI_SEG",
            content_description="AI result, not for primary diagnosis",
            omit_empty_frames=True,
            specific_character_set="ISO_IR 192",
            **equipment(provenance),
        )
        stamp(result, headers[0], provenance, ROLE)
        if headers[0].get("BodyPartExamined"):
            result.BodyPartExamined = headers[0].BodyPartExamined
        _fix_dimension_organization(result)
    return result


def coded(code: Code) -> CodedConcept:
    """A code item as highdicom takes it."""
    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=shortened(code.meaning))


def _description(segment: Segment, position: int, provenance: Provenance, uids: ResultUids) -> SegmentDescription:
    label = shortened(segment.label)
    description = SegmentDescription(
        segment_number=position,
        segment_label=label,
        segmented_property_category=coded(segment.category),
        segmented_property_type=coded(segment.type),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm(provenance),
        tracking_uid=uids.tracking(segment.number),
        tracking_id=label,
        anatomic_regions=[coded(segment.anatomic_region)] if segment.anatomic_region else None,
        display_color=CIELabColor.from_rgb(*segment.color_rgb),
    )
    if segment.laterality:
        # The side belongs inside the item of what it qualifies (PS3.3 Table C.8.20-4): of the region in which a
        # lesion lies, else of the structure itself. highdicom has no parameter for either.
        modifier = [coded(segment.laterality)]
        if segment.anatomic_region:
            description.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = modifier
        else:
            type_item = description.SegmentedPropertyTypeCodeSequence[0]
            type_item.SegmentedPropertyTypeModifierCodeSequence = modifier
    return description


def _fix_dimension_organization(result: Dataset) -> None:
    """Derive the one UID that highdicom draws at random."""
    uid = derived_uid("dimension organization", result.SOPInstanceUID)
    for item in (*result.DimensionOrganizationSequence, *result.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
