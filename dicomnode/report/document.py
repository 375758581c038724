"""The frame of every structured report: identity, flags, evidence, request and predecessor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import Comprehensive3DSR, ComprehensiveSR, EnhancedSR
from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.domain.finding import Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report.identity import plain
from dicomnode.report.provenance import equipment, series_number, stamp
from dicomnode.report.references import evidence

#: PS3.16 Table 8-1.
_IBSI = CodingSchemeIdentificationItem(
    designator="IBSI",
    name="Image Biomarker Standardisation Initiative",
    registry="HL7",
    uid="1.2.840.10008.2.16.13",
)

#: Attributes of an item of the Referenced Request Sequence that a Request Attributes item may hold (PS3.3 C.17.2).
_REQUEST = ("RequestedProcedureID", "RequestedProcedureDescription", "RequestedProcedureCodeSequence")


#: Classes of report that can hold our trees.
Kind = type[Comprehensive3DSR] | type[ComprehensiveSR] | type[EnhancedSR]

#: Roles that continue an earlier report; the radiomics of a study are a document of their own.
_SUCCESSORS = frozenset({"sr", "refusal"})


def document(
    kind: Kind,
    content: Any,
    header: Dataset,
    sources: Sequence[Dataset],
    provenance: Provenance,
    uids: ResultUids,
    role: str,
    *,
    others: Sequence[Dataset] = (),
    ibsi: bool = False,
) -> Dataset:
    """A complete, unverified and preliminary SR document.

    Parameters
    ----------
    content
        Root of the tree.
    header
        A fitted header of the source: gives patient, study and request.
    sources
        Headers of all objects that were looked at.
    role
        Which series and instance UID it gets.
    others
        Further evidence of the same study made by this node, such as the SEG.
    ibsi
        Whether codes of IBSI occur, which is then identified as coding scheme (PS3.3 C.12.1.1.7).
    """
    prior = provenance.predecessor if role in _SUCCESSORS else None
    predecessor = Dataset()
    if prior:
        predecessor.StudyInstanceUID = prior.study_instance_uid
        predecessor.SeriesInstanceUID = prior.series_instance_uid
        predecessor.SOPClassUID = prior.sop_class_uid
        predecessor.SOPInstanceUID = prior.sop_instance_uid
    result = kind(
        evidence=[plain(header), *_named(content, [*sources, *others])],
        content=content,
        series_instance_uid=uids.series(role),
        series_number=series_number(role, provenance.rule),
        sop_instance_uid=uids.instance(role),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        requested_procedures=requests(header) or None,
        previous_versions=[predecessor] if prior else None,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set="ISO_IR 192",
        coding_schemes=[_IBSI] if ibsi else None,
        **equipment(provenance),
    )
    result.CurrentRequestedProcedureEvidenceSequence = evidence([*sources, *others])
    stamp(result, header, provenance, role)
    return result


def _named(content: Any, datasets: Sequence[Dataset]) -> list[Dataset]:
    """Those objects to which the tree refers; highdicom, which asks for them, is slow where all are given."""
    root = content[0] if isinstance(content, Items) else content
    uids: set[str] = set()
    pending = [root]
    while pending:
        item = pending.pop()
        uids.update(str(reference.ReferencedSOPInstanceUID) for reference in item.get("ReferencedSOPSequence") or ())
        pending.extend(item.get("ContentSequence") or ())
    return [ds for ds in datasets if str(ds.SOPInstanceUID) in uids]


def requests(header: Dataset) -> list[Dataset]:
    """Referenced Request Sequence items for the requests that the source fulfils (PS3.3 C.17.2)."""
    found = []
    for attributes in header.get("RequestAttributesSequence") or ():
        item = Dataset()
        item.StudyInstanceUID = attributes.get("StudyInstanceUID") or header.StudyInstanceUID
        item.ReferencedStudySequence = []
        item.AccessionNumber = str(attributes.get("AccessionNumber") or header.AccessionNumber)[:16]
        item.PlacerOrderNumberImagingServiceRequest = ""
        item.FillerOrderNumberImagingServiceRequest = ""
        item.RequestedProcedureID = ""
        item.RequestedProcedureDescription = ""
        item.RequestedProcedureCodeSequence = []
        for keyword in _REQUEST:
            if attributes.get(keyword):
                setattr(item, keyword, attributes.get(keyword))
        found.append(item)
    return found
