"""What reports say of contours that somebody else has drawn: the object that the numbers are of."""

from __future__ import annotations

from highdicom.sr import ReferencedSegment
from pydicom import Dataset

from dicomnode.domain.finding import Findings
from dicomnode.report.extent import Extent
from dicomnode.report.groups import referenced_segment


def mask_reference(
    findings: Findings, segmentation: Dataset | None, number: int, extent: Extent, header: Dataset
) -> ReferencedSegment | None:
    """Reference to the mask of segment `number`: in the SEG of the same findings, or in that which was measured.

    A structure set has no segments that a report could refer to; None for it, as without any SEG.
    """
    contours = findings.contours
    if contours is None:
        return referenced_segment(segmentation, extent.numbers[number], header)
    if number not in contours.segment_numbers:
        return None
    return referenced_segment(contours.dataset, contours.segment_numbers[number], header)


def evidence_of(findings: Findings) -> list[Dataset]:
    """The object that was measured, as evidence of its report."""
    return [findings.contours.dataset] if findings.contours else []
