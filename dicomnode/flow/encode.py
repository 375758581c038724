"""Findings as the objects that a rule asks for: SEG, reports, and what stands in for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom import Dataset

from dicomnode.domain.finding import Check, Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.output import Output, encode_as
from dicomnode.flow.reports import reports
from dicomnode.report import (
    check,
    contour_check,
    features,
    labelmap,
    measurements,
    onepage,
    refusal,
    rtstruct,
    secondary,
    segmentation,
)
from dicomnode.report.page import pictures_of

__all__ = ["Output", "encoded", "refused"]

#: Kinds that are drawn into pixels or onto paper; they say something of every result, also an empty one.
_DRAWN = frozenset({"picture", "pdf"})


def encoded(findings: Findings, wanted: Sequence[str], provenance: Provenance, uids: ResultUids) -> Iterator[Output]:
    """The objects of one analysis, those first that others refer to, and of those that say the same the richest.

    Parameters
    ----------
    wanted
        Kinds of output (`config.OUTPUTS`). A mask without voxels makes no SEG; where nothing else is left to show, a
        report says so, since a rule that matched never ends in silence.

    Raises
    ------
    EncodingError
        If a valid object cannot be built, or the SEG does not say what the mask says.
    """
    masks: dict[str, Dataset] = {}
    mask = segmentation.write(findings, provenance, uids) if "seg" in wanted else None
    if mask is not None:
        output = encode_as("seg", "seg", mask)
        check.verify(output.data, findings)
        masks["seg"] = mask
        yield output
    labels = labelmap.write(findings, provenance, uids) if "labelmap" in wanted else None
    if labels is not None:
        output = encode_as("labelmap", "labelmap", labels)
        labelmap.verify(output.data, findings)
        masks["labelmap"] = labels
        yield output
    contours = rtstruct.write(findings, provenance, uids) if "rtstruct" in wanted else None
    if "sr" in wanted or not (masks or contours or findings.features or _DRAWN & set(wanted)):
        yield from reports("sr", lambda uids, mask: measurements.write(findings, provenance, uids, mask), uids, masks)
    if findings.features:
        yield from reports(
            "radiomics", lambda uids, mask: features.write(findings, provenance, uids, mask), uids, masks
        )
    if contours is not None:
        output = encode_as("rtstruct", "rtstruct", contours)
        contour_check.verify(output.data, findings)
        yield output
    yield from _drawn(findings, wanted, provenance, uids)


def _drawn(findings: Findings, wanted: Sequence[str], provenance: Provenance, uids: ResultUids) -> Iterator[Output]:
    """What is drawn for people."""
    if not _DRAWN & set(wanted):
        return
    pictures = pictures_of(findings, provenance)
    if "picture" in wanted:
        for number, image in enumerate(secondary.write(findings, provenance, uids, pictures), start=1):
            yield encode_as(f"picture-{number}", "picture", image)
    if "pdf" in wanted:
        yield encode_as("pdf", "pdf", onepage.write(findings, provenance, uids, pictures))


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
    yield encode_as("refusal", "refusal", refusal.write(headers, reason, provenance, uids, checks))
    if "picture" in wanted:
        image = secondary.refusal(headers, reason, provenance, uids, checks)
        yield encode_as("refusal-picture", "refusal-picture", image)
