"""References from a report to the other objects of the same analysis."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sr import (
    CodedConcept,
    CompositeContentItem,
    ContainerContentItem,
    ContentSequence,
    ImageContentItem,
    RelationshipTypeValues,
)
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

#: A container with what stands beside the report. The code is borrowed: it was made for the Implantation Plan SR
#: (PS3.16 Annex D, 112350 and following), and its words fit. TID 1500 is extensible, and viewers that read its
#: measurements look into "Imaging Measurements" and "Image Library" alone.
SUPPORTING_INFORMATION = CodedConcept("112359", "DCM", "Supporting Information")

#: Purposes of reference: evidence of the same procedure (borrowed from CID 7009, made for predecessor reports), and a
#: picture (CID 7003).
EVIDENCE = CodedConcept("122073", "DCM", "Current procedure evidence")
ILLUSTRATION = CodedConcept("121200", "DCM", "Illustration of ROI")


def company(others: Sequence[Dataset]) -> ContainerContentItem:
    """A container that names the objects, those with pixels as images (PS3.3 C.18.3, C.18.4)."""
    container = ContainerContentItem(
        name=SUPPORTING_INFORMATION, is_content_continuous=False, relationship_type=RelationshipTypeValues.CONTAINS
    )
    container.ContentSequence = ContentSequence([_item(ds) for ds in others])
    return container


def _item(ds: Dataset) -> ImageContentItem | CompositeContentItem:
    kind = ImageContentItem if "Rows" in ds else CompositeContentItem
    return kind(
        name=ILLUSTRATION if ds.SOPClassUID == SecondaryCaptureImageStorage else EVIDENCE,
        referenced_sop_class_uid=ds.SOPClassUID,
        referenced_sop_instance_uid=ds.SOPInstanceUID,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
