"""The mask as a DICOM Segmentation on the grid of its source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from highdicom import PlanePositionSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from highdicom.seg import Segmentation as SegmentationObject
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless
from pydicom.valuerep import format_number_as_ds

from dicomnode.domain.finding import Findings, Provenance, SourceSeries
from dicomnode.domain.model import Segment
from dicomnode.domain.uid import ResultUids, derived_uid
from dicomnode.report.binary import describe, frames_of, packed
from dicomnode.report.boundary import encoding
from dicomnode.report.code import coded
from dicomnode.report.extent import Extent, extent_of, occupied, segment_numbers
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
    if not extent.segments:
        return None
    (header,) = normalised(findings.source, (0,))
    with encoding(f"SEG of series {header.SeriesInstanceUID}"):
        if (header.Rows, header.Columns) != extent.mask.shape[1:]:
            raise ValueError(f"mask of {extent.mask.shape[1:]} pixels, images of {(header.Rows, header.Columns)}")
        write_all = _label_map if labelmap else _binary
        result = write_all(
            extent,
            findings.source,
            header,
            empty_frames=empty_frames,
            segment_descriptions=[
                _description(segment, place, provenance, uids) for place, segment in enumerate(extent.segments, start=1)
            ],
            series_instance_uid=uids.series(role),
            series_number=series_number(role, provenance.rule),
            sop_instance_uid=uids.instance(role),
            instance_number=1,
            content_label="AI_SEG_RESEARCH" if provenance.research else "AI_SEG",
            content_description=_content(provenance),
            specific_character_set="ISO_IR 192",
            **equipment(provenance),
        )
        refer_to_source(result, findings.source)
        stamp(result, header, provenance, role)
        if header.get("BodyPartExamined"):
            result.BodyPartExamined = header.BodyPartExamined
        _fix_dimension_organization(result)
    return result


def _binary(
    extent: Extent, source: SourceSeries, header: Dataset, *, empty_frames: bool, **described: Any
) -> SegmentationObject:
    """highdicom describes one plane of a pixel per segment; the frames are written by us, at once (`report.binary`)."""
    frames = frames_of(extent, source, header.ImageOrientationPatient, empty=empty_frames)
    pixels = np.arange(1, len(extent.segments) + 1, dtype=np.uint8).reshape(1, 1, -1)
    shown = plain(header)
    for keyword, size in zip(("Rows", "Columns"), pixels.shape[1:], strict=True):
        shown[keyword] = DataElement(keyword, "US", size)
    result = SegmentationObject(
        source_images=[shown],
        pixel_array=pixels,
        segmentation_type=SegmentationTypeValues.BINARY,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **described,
    )
    if "SpacingBetweenSlices" not in header:
        # highdicom takes one plane for one of many that are 1 mm apart.
        measures = result.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        del measures.SpacingBetweenSlices
        if frames.spacing_mm is not None:
            measures.SpacingBetweenSlices = format_number_as_ds(frames.spacing_mm)
    describe(result, frames, source)
    result.Rows, result.Columns = extent.mask.shape[1:]
    result.PixelData = packed(extent, frames)
    return result


def _label_map(
    extent: Extent, source: SourceSeries, header: Dataset, *, empty_frames: bool, **described: Any
) -> SegmentationObject:
    shown = occupied(extent.mask)
    # Empty planes between others are left out by highdicom.
    span = range(len(extent.mask)) if empty_frames else range(shown[0], shown[-1] + 1)
    planes = source.planes[span.start : span.stop]
    positions = [PlanePositionSequence("PATIENT", position(plane)) for plane in planes]
    # gdcm (3.2.6), which highdicom would have encode it, ends the process at a frame of an odd number of bytes.
    odd = extent.mask[0].size % 2 == 1
    result = SegmentationObject(
        # One image is enough for patient, orientation and pixel measures; the references are written below.
        source_images=[plain(header)],
        plane_positions=positions,
        pixel_array=_renumbered(extent.mask[span.start : span.stop], extent.segments),
        segmentation_type=SegmentationTypeValues.LABELMAP,
        transfer_syntax_uid=ExplicitVRLittleEndian if odd else RLELossless,
        omit_empty_frames=not empty_frames,
        **described,
    )
    if odd:
        result.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    # highdicom sorts the items that it was given.
    indices = {id(sequence[0]): index for index, sequence in enumerate(positions)}
    frames = result.PerFrameFunctionalGroupsSequence
    derive_frames(frames, [planes[indices[id(frame.PlanePositionSequence[0])]] for frame in frames])
    return result


def _content(provenance: Provenance) -> str:
    """At most 64 characters (PS3.5 6.2, LO)."""
    marks = ("RESEARCH ONLY", provenance.research), ("SUPERSEDES earlier", provenance.predecessor is not None)
    return ", ".join((*(text for text, holds in marks if holds), "AI, not for primary diagnosis"))


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
