"""The report that says why a series was not analysed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    EnhancedSR,
    RelationshipTypeValues,
    UIDRefContentItem,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicomnode.domain.finding import Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report.boundary import encoding
from dicomnode.report.content import comment, language, model_algorithm, observation_context, procedure
from dicomnode.report.document import document
from dicomnode.report.identity import fit, guard_study
from dicomnode.report.provenance import DISCLAIMER

ROLE = "refusal"

#: "Summary of Analyses" (TID 4000) answered from CID 6042 "Status of Results".
_SUMMARY = CodedConcept("111065", "DCM", "Summary of Analyses")
_NOT_ATTEMPTED = CodedConcept("111225", "DCM", "Not Attempted")
_SERIES = CodedConcept("112002", "DCM", "Series Instance UID")

#: highdicom looks up what to copy by SOP class and knows the standard's alone; every class has these modules.
_KNOWN_CLASS = "1.2.840.10008.5.1.4.1.1.7"


def write(datasets: Sequence[Dataset], reason: str, provenance: Provenance, uids: ResultUids) -> Dataset:
    """An Enhanced SR (PS3.3 A.35.2) with the coded status "Not Attempted" and the reason in words.

    Its title is none of CID 7021, so viewers show it as text instead of looking for contours. It needs neither
    geometry nor a frame of reference.

    Parameters
    ----------
    datasets
        Any headers of one study, at least one; their series are named as what was not analysed.
    reason
        Why, in words for a radiologist.

    Raises
    ------
    EncodingError
        For no header, or headers of several patients or studies.
    """
    guard_study(datasets)
    header = fit(datasets[0])
    header.SOPClassUID = _KNOWN_CLASS
    with encoding(f"refusal SR of study {header.StudyInstanceUID}"):
        root = ContainerContentItem(name=_SUMMARY)
        root.ContentSequence = ContentSequence()
        for items in _content(datasets, reason, provenance, header):
            root.ContentSequence.extend(items)
        result = document(EnhancedSR, root, [header], provenance, uids, ROLE)
        result.CurrentRequestedProcedureEvidenceSequence = [_evidence(datasets)]
    return result


def _content(
    datasets: Sequence[Dataset], reason: str, provenance: Provenance, header: Dataset
) -> Iterable[ContentSequence | Sequence[ContentItem]]:
    contains = RelationshipTypeValues.CONTAINS
    model = provenance.model
    yield language()
    yield observation_context(provenance)
    yield [
        CodeContentItem(
            name=codes.DCM.ProcedureReported,
            value=procedure(header),
            relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD,
        )
    ]
    yield model_algorithm(provenance)
    yield [CodeContentItem(name=_SUMMARY, value=_NOT_ATTEMPTED, relationship_type=contains)]
    yield [comment(f"Not analysed: {reason}")]
    yield [comment(f"{model.title} {model.version} gave no result; nothing is said about the images. {DISCLAIMER}")]
    for series in _by_series(datasets):
        yield [UIDRefContentItem(name=_SERIES, value=series, relationship_type=contains)]


def _by_series(datasets: Sequence[Dataset]) -> dict[str, dict[str, Dataset]]:
    """Series Instance UID → SOP Instance UID → header, in the order given."""
    series: dict[str, dict[str, Dataset]] = {}
    for ds in datasets:
        series.setdefault(str(ds.SeriesInstanceUID), {})[str(ds.SOPInstanceUID)] = ds
    return series


def _evidence(datasets: Sequence[Dataset]) -> Dataset:
    """Item of the Current Requested Procedure Evidence Sequence (PS3.3 C.17.2.3) for every instance given."""
    study = Dataset()
    study.StudyInstanceUID = datasets[0].StudyInstanceUID
    study.ReferencedSeriesSequence = []
    for series_instance_uid, instances in _by_series(datasets).items():
        item = Dataset()
        item.ReferencedSOPSequence = []
        item.SeriesInstanceUID = series_instance_uid
        for sop_instance_uid, ds in instances.items():
            reference = Dataset()
            reference.ReferencedSOPClassUID = ds.SOPClassUID
            reference.ReferencedSOPInstanceUID = sop_instance_uid
            item.ReferencedSOPSequence.append(reference)
        study.ReferencedSeriesSequence.append(item)
    return study
