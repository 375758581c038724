"""The mask as an RT Structure Set: contours in patient coordinates on the planes of its source."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import RTStructureSetStorage

from dicomnode.domain.finding import Findings, Provenance, SourceSeries
from dicomnode.domain.uid import ResultUids
from dicomnode.report.boundary import encoding
from dicomnode.report.extent import extent_of
from dicomnode.report.normalise import normalised
from dicomnode.report.provenance import disclaimer, shortened, supersedes
from dicomnode.report.references import refer_to_source
from dicomnode.report.result import ResultObject
from dicomnode.report.roi import contours, definition, observation

ROLE = "rtstruct"

#: "Detached Study Management", retired, and still what a reference to a study names as its class in every structure
#: set; PS3.3 C.8.8.5 asks for a value and defines none.
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"


def write(findings: Findings, provenance: Provenance, uids: ResultUids) -> Dataset | None:
    """An RT Structure Set (PS3.3 A.19) with one ROI per present segment, numbered as in the SEG.

    Contours are CLOSED_PLANAR along the edges of the pixels, holes by keyholes, so that area and volume are those of
    the mask and a reader that fills them on the same grid gets it back pixel by pixel. The same findings, provenance
    and UIDs give the same bytes.

    Returns
    -------
    The object in Explicit VR Little Endian, or None for an empty mask.

    Raises
    ------
    EncodingError
        If the source mixes patients or series, lacks a frame of reference, or does not match the mask.
    """
    extent = extent_of(findings)
    if not extent.segments:
        return None
    headers = normalised(findings.source)
    header = headers[0]
    with encoding(f"RTSTRUCT of series {header.SeriesInstanceUID}"):
        result = ResultObject(
            RTStructureSetStorage, "RTSTRUCT", header, provenance, uids, ROLE, instance=ROLE, instance_number=1
        )
        result.OperatorsName = ""
        result.FrameOfReferenceUID = header.FrameOfReferenceUID
        result.PositionReferenceIndicator = header.get("PositionReferenceIndicator") or ""
        result.StructureSetLabel = "AI_RTSTRUCT"
        result.StructureSetName = shortened(f"{provenance.model.title} {provenance.model.version}")
        result.StructureSetDescription = " ".join((*supersedes(provenance), disclaimer(provenance)))
        result.StructureSetDate, result.StructureSetTime = result.ContentDate, result.ContentTime
        # Of the dates only those of the structure set belong to this object.
        del result.ContentDate, result.ContentTime
        result.ApprovalStatus = "UNAPPROVED"
        _refer(result, findings.source, header)
        made_by = f"{provenance.model.name} {provenance.model.version}"
        numbered = [(segment, extent.numbers[segment.number]) for segment in extent.segments]
        frame_of_reference = str(header.FrameOfReferenceUID)
        result.StructureSetROISequence = Items(definition(*one, frame_of_reference, made_by) for one in numbered)
        result.ROIContourSequence = Items(contours(*one, extent, findings.source, headers) for one in numbered)
        result.RTROIObservationsSequence = Items(observation(*one) for one in numbered)
    return result


def _refer(result: Dataset, source: SourceSeries, header: Dataset) -> None:
    """Name the frame of reference, the study, the series and its images (PS3.3 C.8.8.5).

    Common Instance Reference would list them once more; validators do not see what it repeats and take it for wrong.
    """
    named = Dataset()
    refer_to_source(named, source)
    series, study, frame_of_reference = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = header.SeriesInstanceUID
    series.ContourImageSequence = named.SourceImageSequence
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY_CLASS, header.StudyInstanceUID
    study.RTReferencedSeriesSequence = Items([series])
    frame_of_reference.FrameOfReferenceUID = header.FrameOfReferenceUID
    frame_of_reference.RTReferencedStudySequence = Items([study])
    result.ReferencedFrameOfReferenceSequence = Items([frame_of_reference])
