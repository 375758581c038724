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

from dicomnode.domain.finding import Check, Provenance
from dicomnode.domain.model import Severity
from dicomnode.domain.uid import ResultUids
from dicomnode.report.boundary import encoding
from dicomnode.report.content import SUMMARY, comment, language, model_algorithm, observation_context, procedure
from dicomnode.report.document import document
from dicomnode.report.identity import fit, guard_study
from dicomnode.report.provenance import DISCLAIMER

ROLE = "refusal"

#: From CID 6042 "Status of Results".
_NOT_ATTEMPTED = CodedConcept("111225", "DCM", "Not Attempted")
_SERIES = CodedConcept("112002", "DCM", "Series Instance UID")


def write(
    datasets: Sequence[Dataset],
    reason: str,
    provenance: Provenance,
    uids: ResultUids,
    checks: Sequence[Check] = (),
) -> Dataset:
    """An Enhanced SR (PS3.3 A.35.2) with the coded status "Not Attempted" and the reason in words.

    Its title is none of CID 7021, so viewers show it as text instead of looking for contours. It needs neither
    geometry nor a frame of reference.

    Parameters
    ----------
    datasets
        Any headers of one study, at least one; their series are named as what was not analysed.
    reason
        Why, in words for a radiologist.
    checks
        The quality gate's report: every rule is shown with what was found, its limit, and whether it passed.

    Raises
    ------
    EncodingError
        For no header, or headers of several patients or studies.
    """
    guard_study(datasets)
    header = fit(datasets[0])
    with encoding(f"refusal SR of study {header.StudyInstanceUID}"):
        root = ContainerContentItem(name=SUMMARY)
        root.ContentSequence = ContentSequence()
        for items in _content(datasets, reason, provenance, header, checks):
            root.ContentSequence.extend(items)
        return document(EnhancedSR, root, header, datasets, provenance, uids, ROLE)


def _content(
    datasets: Sequence[Dataset], reason: str, provenance: Provenance, header: Dataset, checks: Sequence[Check]
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
    yield [CodeContentItem(name=SUMMARY, value=_NOT_ATTEMPTED, relationship_type=contains)]
    yield [comment(f"Not analysed: {reason}")]
    yield [comment(f"{model.title} {model.version} gave no result; nothing is said about the images. {DISCLAIMER}")]
    # What failed first: a reader looks for nothing else.
    for check in sorted(checks, key=lambda check: check.passed):
        yield [comment(f"Check {_verdict(check)}: {check.text}")]
    for series in dict.fromkeys(str(ds.SeriesInstanceUID) for ds in datasets):
        yield [UIDRefContentItem(name=_SERIES, value=series, relationship_type=contains)]


def _verdict(check: Check) -> str:
    if check.passed:
        return "passed"
    return "failed" if check.severity is Severity.BLOCK else "failed, a warning only"
