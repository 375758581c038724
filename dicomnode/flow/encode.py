"""Findings as the objects that a rule asks for: SEG, reports, and what stands in for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from pydicom import Dataset

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Check, Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.beside import beside
from dicomnode.flow.forms import MASKS
from dicomnode.flow.masks import masks
from dicomnode.flow.output import Output, encode_as, read_back
from dicomnode.flow.reports import reports
from dicomnode.flow.takers import Taker
from dicomnode.report import measurements, refusal, report_check, secondary

__all__ = ["Output", "encoded", "refused"]

#: Kinds that carry contours; nobody needs a second copy of those that he has drawn.
_CONTOURED = frozenset({"seg", "labelmap", "rtstruct"})


def encoded(
    findings: Findings,
    wanted: Sequence[str],
    provenance: Provenance,
    uids: ResultUids,
    takers: Sequence[Taker] = (),
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[Output]:
    """The objects of one analysis, those first that others refer to, and of those that say the same the richest.

    Parameters
    ----------
    wanted
        Kinds of output (`config.OUTPUTS`). A mask without voxels makes no SEG; where nothing else is left to show, a
        report says so, since a rule that matched never ends in silence.
    takers
        The destinations, for each of which the report comes in the form that it needs; without any it comes once.
    tell
        Told what was left out, and why; the report says so, too.

    Raises
    ------
    EncodingError
        If the first mask or the report cannot be built, or the mask does not say what was found. Any other object is
        then left out, since it must not cost the reader the rest.
    """
    if findings.contours is not None:
        wanted = [kind for kind in wanted if kind not in _CONTOURED]
    made: list[Output] = []
    lacking: list[str] = []
    first = next((kind for kind in MASKS if kind in wanted), "")
    writers = masks(findings, wanted, provenance, uids), beside(findings, wanted, provenance, uids, made, takers)
    for role, write in chain(*writers):
        try:
            for one in write():
                made.append(one)
                yield one
        except EncodingError as error:
            if role == first:
                raise
            lacking.append(f"{role} was left out: {error}")
            tell(lacking[-1])
    if "sr" in wanted or not made:
        told = replace(findings, warnings=(*findings.warnings, *lacking))
        yield from _root(told, provenance, uids, made, takers)


def _root(
    findings: Findings, provenance: Provenance, uids: ResultUids, made: Sequence[Output], takers: Sequence[Taker]
) -> Iterator[Output]:
    """The report that refers to everything else."""

    def write(uids: ResultUids, mask: Dataset | None, company: Sequence[Dataset]) -> Dataset:
        return measurements.write(findings, provenance, uids, mask, others=company)

    def verify(data: bytes) -> None:
        report_check.verify(data, findings.source.datasets, findings)

    return reports("sr", write, uids, made, takers, verify)


def refused(
    headers: Sequence[Dataset],
    reason: str,
    wanted: Sequence[str],
    provenance: Provenance,
    uids: ResultUids,
    checks: Sequence[Check],
) -> Iterator[Output]:
    """What tells a reader why there is no result: a report, and a picture where the rule makes pictures.

    Raises
    ------
    EncodingError
        As `report.refusal.write` and `report.secondary.refusal`.
    """
    report = refusal.write(headers, reason, provenance, uids, checks)
    yield read_back(encode_as("refusal", "refusal", report), headers)
    if "picture" in wanted:
        image = secondary.refusal(headers, reason, provenance, uids, checks)
        yield read_back(encode_as("refusal-picture", "refusal-picture", image), headers)
