"""Findings as the objects that a rule asks for: SEG, reports, and what stands in for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pydicom import Dataset

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import check, encode, features, measurements, segmentation

#: A report for destinations that refuse the SEG: it refers to nothing that they do not have.
_STAND_IN = "without-seg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One result object, encoded."""

    role: str
    dataset: Dataset = field(repr=False)
    data: bytes = field(repr=False)


def encoded(findings: Findings, wanted: Sequence[str], provenance: Provenance, uids: ResultUids) -> Iterator[Output]:
    """The objects of one analysis, those first that others refer to.

    Parameters
    ----------
    wanted
        Kinds of output (`seg`, `sr`, `radiomics`). A mask without voxels makes no SEG; where nothing else is left to
        show, a report says so, since a rule that matched never ends in silence.

    Raises
    ------
    EncodingError
        If a valid object cannot be built, or the SEG does not say what the mask says.
    """
    mask = segmentation.write(findings, provenance, uids) if "seg" in wanted else None
    if mask is not None:
        output = _output("seg", mask)
        check.verify(output.data, findings)
        yield output
    report = features.write(findings, provenance, uids, mask) if findings.features else None
    if "sr" in wanted or (mask is None and report is None):
        yield _output("sr", measurements.write(findings, provenance, uids, mask))
        if mask is not None:
            alone = measurements.write(findings, provenance, replace(uids, variant=_STAND_IN), None)
            yield _output(f"sr-{_STAND_IN}", alone)
    if report is not None:
        yield _output("radiomics", report)


def _output(role: str, dataset: Dataset) -> Output:
    try:
        return Output(role=role, dataset=dataset, data=encode.to_bytes(dataset))
    except (ValueError, TypeError, AttributeError) as error:
        raise EncodingError(f"{role}: the object cannot be written: {error}") from error
