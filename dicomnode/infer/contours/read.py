"""Reads what somebody has drawn on a series, SEG or RT Structure Set, as a mask with its author."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Contours, Segmentation, SourceSeries
from dicomnode.domain.identity import Correction, correct
from dicomnode.infer.answer import Answer
from dicomnode.infer.contours.author import author, identity
from dicomnode.infer.contours.frame import require_frame
from dicomnode.infer.contours.place import placed
from dicomnode.infer.contours.region import Region, label_maps, numbered
from dicomnode.infer.contours.segments import segments
from dicomnode.infer.contours.structure import outlined
from dicomnode.infer.read.faults import reading

#: Label Map Segmentation Storage (PS3.4 B.5, since 2024c).
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"


def read_contours(paths: Sequence[Path], source: SourceSeries, corrections: Sequence[Correction] = ()) -> Answer:
    """The regions of one SEG or RT Structure Set on the grid of the images that it was drawn on.

    Regions that share voxels come in several label maps (`Segmentation.overlapping`), so that each is measured whole.

    Parameters
    ----------
    paths
        The object; one file.
    source
        The images.
    corrections
        Which the object is given before it is asked whether it is of the same patient; the images have been.

    Raises
    ------
    Unsuitable
        If the object cannot be read, is of other images or another patient, or holds no region with a voxel.
    """
    if len(paths) != 1:
        raise Unsuitable(f"contours: {len(paths)} objects, needed one SEG or RTSTRUCT")
    with reading("contours", "needed a readable SEG or RTSTRUCT"):
        dataset = dcmread(paths[0], stop_before_pixels=True)
        kind = dataset.SOPClassUID
        correct(dataset, corrections)
        _require_same_patient(dataset, source)
        referring = identity(dataset)
    subject = f"{'RTSTRUCT' if kind == RTStructureSetStorage else 'SEG'} {referring.SOPInstanceUID}"
    try:
        if kind == RTStructureSetStorage:
            regions, remarks = _of_structure_set(dataset, source)
        elif kind in (SegmentationStorage, LABEL_MAP):
            regions, remarks = segments(paths[0], source)
        else:
            raise Unsuitable("an object of another class, needed a SEG or RTSTRUCT")
    except Unsuitable as refusal:
        raise Unsuitable(f"{subject}: {refusal}") from refusal
    if not regions:
        raise Unsuitable(f"{subject}: no region holds a voxel of the images, needed one or more")
    ranked = numbered(regions, subject)
    first, *others = label_maps(ranked, source.volume)
    if others:
        remarks.append("regions overlap; each was measured whole, pictures show those in front")
    with reading(subject, "needed a readable header", dataset):
        who = author(dataset, [region.algorithm for region in ranked])
    contours = Contours(
        dataset=referring,
        segment_numbers={}
        if kind == RTStructureSetStorage
        else {region.segment.number: region.number for region in ranked},
        tracking_uids={region.segment.number: region.tracking_uid for region in ranked if region.tracking_uid},
        author=who,
    )
    mask = Segmentation(volume=first.volume, segments=first.segments, overlapping=tuple(others))
    return Answer(segmentation=mask, warnings=tuple(remarks), contours=contours)


def _of_structure_set(dataset: Dataset, source: SourceSeries) -> tuple[list[Region], list[str]]:
    with reading("RTSTRUCT", "needed readable contours"):
        found, remarks = outlined(dataset)
    regions: list[Region] = []
    for one in found:
        require_frame(f"ROI {one.number}", one.frame_of_reference_uid, source)
        region, more = placed(one, source)
        remarks += more
        if region is None:
            remarks.append(f"{one.segment.label}: left out, no pixel's centre lies inside its contours")
        else:
            regions.append(region)
    return regions, remarks


def _require_same_patient(dataset: Dataset, source: SourceSeries) -> None:
    """Refuse contours of somebody else; the values stay out of the message."""
    header = source.datasets[0]
    for keyword in ("StudyInstanceUID", "PatientID"):
        if str(dataset.get(keyword) or "").strip() != str(header.get(keyword) or "").strip():
            raise Unsuitable(f"contours: another {keyword} than the images, needed the same")
