"""The mask as a DICOM Segmentation on the grid of its source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom import PlanePositionSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from highdicom.seg import Segmentation as SegmentationObject
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.model import Segment
from dicomnode.domain.uid import ResultUids, derived_uid
from dicomnode.report.boundary import encoding
from dicomnode.report.code import coded
from dicomnode.report.extent import extent_of, occupied, segment_numbers
from dicomnode.report.frames import position
from dicomnode.report.identity import plain
from dicomnode.report.normalise import normalised
from dicomnode.report.provenance import algorithm, equipment, series_number, shortened, stamp
from dicomnode.report.references import derive_frames, refer_to_source

__all__ = ["ROLE", "segment_numbers", "write"]

ROLE = "seg"


def write(
    findings: Findings,
    provenance: Provenance,
    uids: ResultUids,
    *,
    role: str = ROLE,
    labelmap: bool = False,
    empty_frames: bool = False,
) -> Dataset | None:
    """A BINARY Segmentation (PS3.3 A.51) with one segment per present segment.

    The same findings, provenance and UIDs give the same bytes.

    Parameters
    ----------
    role
        Which series and instance UID it gets.
    labelmap
        Write a Label Map Segmentation (PS3.3 A.51 as of 2024d) instead, with the background that it has to describe.
    empty_frames
        Write a frame of every segment for every image, also where there is nothing of it.

    Returns
    -------
    The object in Explicit VR Little Endian, a label map in RLE Lossless; or None for an empty mask.

    Raises
    ------
    EncodingError
        If the source mixes patients or series, lacks a frame of reference, or does not match the mask.
    """
    extent = extent_of(findings)
    mask, segments = extent.mask, extent.segments
    if not segments:
        return None
    (header,) = normalised(findings.source, (0,))
    with encoding(f"SEG of series {header.SeriesInstanceUID}"):
        shown = occupied(mask)
        # Empty planes between others are left out by highdicom.
        span = range(len(mask)) if empty_frames else range(shown[0], shown[-1] + 1)
        positions = [PlanePositionSequence("PATIENT", position(findings.source.planes[index])) for index in span]
        planes = {
            _point(sequence[0]): findings.source.planes[index] for sequence, index in zip(positions, span, strict=True)
        }
        result = SegmentationObject(
            # One image is enough for patient, orientation and pixel measures; the references are written below.
            source_images=[plain(header)],
            plane_positions=positions,
            pixel_array=_renumbered(mask[span.start : span.stop], segments),
            segmentation_type=SegmentationTypeValues.LABELMAP if labelmap else SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _description(segment, place, provenance, uids) for place, segment in enumerate(segments, start=1)
            ],
            series_instance_uid=uids.series(role),
            series_number=series_number(role, provenance.rule),
            sop_instance_uid=uids.instance(role),
            instance_number=1,
            transfer_syntax_uid=RLELossless if labelmap else ExplicitVRLittleEndian,
            content_label="AI_SEG_RESEARCH" if provenance.research else "AI_SEG",
            content_description=_content(provenance),
            omit_empty_frames=not empty_frames,
            specific_character_set="ISO_IR 192",
            **equipment(provenance),
        )
        refer_to_source(result, findings.source)
        frames = result.PerFrameFunctionalGroupsSequence
        derive_frames(frames, [planes[_point(frame.PlanePositionSequence[0])] for frame in frames])
        stamp(result, header, provenance, role)
        if header.get("BodyPartExamined"):
            result.BodyPartExamined = header.BodyPartExamined
        _fix_dimension_organization(result)
    return result


def _content(provenance: Provenance) -> str:
    """At most 64 characters (PS3.5 6.2, LO)."""
    marks = ("RESEARCH ONLY", provenance.research), ("SUPERSEDES earlier", provenance.predecessor is not None)
    return ", ".join((*(text for text, holds in marks if holds), "AI, not for primary diagnosis"))


def _point(dataset: Dataset) -> tuple[float, ...]:
    return tuple(float(coordinate) for coordinate in dataset.ImagePositionPatient)


def _renumbered(mask: NDArray[np.uint8], segments: Sequence[Segment]) -> NDArray[np.uint8]:
    """The mask with the numbers that the segments have in the SEG, and background where none of them is."""
    lookup = np.zeros(256, dtype=np.uint8)
    for place, segment in enumerate(segments, start=1):
        lookup[segment.number] = place
    if (lookup[: mask.max() + 1] == np.arange(mask.max() + 1)).all():
        return mask
    return lookup[mask]


def _description(segment: Segment, place: int, provenance: Provenance, uids: ResultUids) -> SegmentDescription:
    label = shortened(segment.label)
    description = SegmentDescription(
        segment_number=place,
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
