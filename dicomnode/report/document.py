"""The frame of every structured report: identity, flags, evidence, request and predecessor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import Comprehensive3DSR, ComprehensiveSR, EnhancedSR
from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.domain.finding import PriorReport, Provenance
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


_CONTENT, _REFERENCED = Tag("ContentSequence"), Tag("ReferencedSOPSequence")

#: Classes of report that can hold our trees.
Kind = type[Comprehensive3DSR] | type[ComprehensiveSR] | type[EnhancedSR]

#: Roles that continue an earlier report; the radiomics of a study are a document of their own.
_SUCCESSORS = frozenset({"sr", "refusal", "withdrawn"})


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
    priors: Sequence[Dataset] = (),
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
    priors
        Evidence of earlier studies.
    ibsi
        Whether codes of IBSI occur, which is then identified as coding scheme (PS3.3 C.12.1.1.7).
    """
    prior = provenance.predecessor if role in _SUCCESSORS else None
    root = content[0] if isinstance(content, Items) else content
    _check_named(root, [*sources, *others, *priors])
    result = kind(
        evidence=[plain(header)],
        content=_without_content(root),
        series_instance_uid=uids.series(role),
        series_number=series_number(role, provenance.rule),
        sop_instance_uid=uids.instance(role),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        requested_procedures=requests(header) or None,
        previous_versions=[_named(one) for one in (prior, *prior.others)] if prior else None,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set="ISO_IR 192",
        coding_schemes=[_IBSI] if ibsi else None,
        **equipment(provenance),
    )
    result[_CONTENT] = root[_CONTENT]
    result.CurrentRequestedProcedureEvidenceSequence = evidence([*sources, *others])
    if priors:
        result.PertinentOtherEvidenceSequence = evidence(priors)
    stamp(result, header, provenance, role)
    return result


def _named(report: PriorReport) -> Dataset:
    result = Dataset()
    result.StudyInstanceUID = report.study_instance_uid
    result.SeriesInstanceUID = report.series_instance_uid
    result.SOPClassUID = report.sop_class_uid
    result.SOPInstanceUID = report.sop_instance_uid
    return result


def _without_content(root: Dataset) -> Dataset:
    """The root of the tree alone: highdicom copies and searches the whole, which takes half the time of a report."""
    bare = Dataset()
    for element in root:
        if element.tag != _CONTENT:
            bare.add(element)
    bare.ContentSequence = Items()
    return bare


def _check_named(root: Dataset, datasets: Sequence[Dataset]) -> None:
    """See that the tree refers to nothing but these objects (PS3.3 C.17.2.3).

    Raises
    ------
    ValueError
        For anything else.
    """
    missing: set[str] = set()
    known = {str(ds.SOPInstanceUID) for ds in datasets}
    pending = [root]
    while pending:
        item = pending.pop()
        for reference in _items(item, _REFERENCED):
            if str(reference.ReferencedSOPInstanceUID) not in known:
                missing.add(str(reference.ReferencedSOPInstanceUID))
        pending.extend(_items(item, _CONTENT))
    if missing:
        raise ValueError(f"the tree refers to {', '.join(sorted(missing))}, which the evidence does not name")


def _items(item: Dataset, tag: BaseTag) -> Sequence[Dataset]:
    return item[tag].value if tag in item else ()


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
