"""The report that stands in place of a result: not analysed, not yet analysed, or withdrawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

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
from pydicom.uid import UID
from pydicom.valuerep import DT

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Check, Provenance
from dicomnode.domain.model import Severity
from dicomnode.domain.uid import ResultUids
from dicomnode.report.answers import arrived
from dicomnode.report.boundary import encoding
from dicomnode.report.code import coded
from dicomnode.report.content import SUMMARY, comment, language, model_algorithm, observation_context, procedure
from dicomnode.report.document import document
from dicomnode.report.heading import NOT_ANALYSED, WITHDRAWN, Heading
from dicomnode.report.identity import fit, guard_study
from dicomnode.report.provenance import disclaimer, supersedes

_SERIES = CodedConcept("112002", "DCM", "Series Instance UID")


def write(
    datasets: Sequence[Dataset],
    reason: str,
    provenance: Provenance,
    uids: ResultUids,
    checks: Sequence[Check] = (),
    heading: Heading = NOT_ANALYSED,
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
    heading
        What it says: `NOT_ANALYSED` or `NOT_YET`.

    Raises
    ------
    EncodingError
        For no header, or headers of several patients or studies.
    """
    assert heading.status is not None
    # What failed first: a reader looks for nothing else.
    texts = [f"Check {_verdict(check)}: {check.text}" for check in sorted(checks, key=lambda check: check.passed)]
    return _report(heading, heading.status, datasets, reason, texts, provenance, uids)


def withdrawal(
    datasets: Sequence[Dataset], reason: str, code: Code, provenance: Provenance, uids: ResultUids
) -> Dataset:
    """An Enhanced SR that takes results back, for archives that take no rejection note.

    Parameters
    ----------
    datasets
        Headers of what is withdrawn, of one study; each is named.
    code
        The title that a rejection note would have (CID 7010).

    Raises
    ------
    EncodingError
        As `write`.
    """
    texts = [_withdrawn(ds) for ds in datasets]
    return _report(WITHDRAWN, coded(code), datasets, reason, texts, provenance, uids)


def _report(
    heading: Heading,
    status: CodedConcept,
    datasets: Sequence[Dataset],
    reason: str,
    texts: Sequence[str],
    provenance: Provenance,
    uids: ResultUids,
) -> Dataset:
    guard_study(datasets)
    header = fit(datasets[0])
    named = replace(uids, variant="-".join(filter(None, (uids.variant, heading.variant))))
    with encoding(f"{heading.series} SR of study {header.StudyInstanceUID}"):
        root = ContainerContentItem(name=SUMMARY)
        root.ContentSequence = ContentSequence()
        for items in _content(heading, status, datasets, reason, texts, provenance, header):
            root.ContentSequence.extend(items)
        result = document(EnhancedSR, root, header, datasets, provenance, named, heading.series)
        result.InstanceNumber = heading.number
    return result


def _content(
    heading: Heading,
    status: CodedConcept,
    datasets: Sequence[Dataset],
    reason: str,
    texts: Sequence[str],
    provenance: Provenance,
    header: Dataset,
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
    yield [CodeContentItem(name=SUMMARY, value=status, relationship_type=contains)]
    yield [comment(f"{heading.lead}: {reason}")]
    yield [comment(f"{model.title} {model.version} {heading.says} {disclaimer(provenance)}")]
    for text in (*supersedes(provenance), *arrived(provenance), *texts):
        yield [comment(text)]
    for series in dict.fromkeys(str(ds.SeriesInstanceUID) for ds in datasets):
        yield [UIDRefContentItem(name=_SERIES, value=series, relationship_type=contains)]


def _withdrawn(ds: Dataset) -> str:
    """One object as a reader can find it: what it is called, its kind, when it was made, and its UID."""
    made = f"{ds.get('InstanceCreationDate') or ''}{str(ds.get('InstanceCreationTime') or '')[:6]}"
    try:
        when = f" of {DT(made):%Y-%m-%d %H:%M:%S}" if made else ""
    except ValueError:
        when = ""
    kind = f"{UID(ds.SOPClassUID).name}{when}"
    named = ", ".join(filter(None, (str(ds.get("SeriesDescription") or ""), kind)))
    return f"Withdrawn: {named}, object {ds.SOPInstanceUID}"


def _verdict(check: Check) -> str:
    if check.passed:
        return "passed"
    return "failed" if check.severity is Severity.BLOCK else "failed, a warning only"
