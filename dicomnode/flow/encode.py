"""Findings as the objects that a rule asks for: SEG, reports, and what stands in for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydicom import Dataset

from dicomnode.domain.finding import Check, Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.masks import masks_of
from dicomnode.flow.output import Output, encode_as
from dicomnode.flow.reports import reports
from dicomnode.report import (
    contour_check,
    drawn_check,
    features,
    map_check,
    measurements,
    onepage,
    parametric,
    refusal,
    rtstruct,
    secondary,
)
from dicomnode.report.page import pictures_of

__all__ = ["Output", "encoded", "refused"]

#: Kinds that are drawn into pixels or onto paper; they say something of every result, also an empty one.
_DRAWN = frozenset({"picture", "pdf"})

#: Kinds that carry contours; nobody needs a second copy of those that he has drawn.
_CONTOURED = frozenset({"seg", "labelmap", "rtstruct"})


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
    if findings.contours is not None:
        wanted = [kind for kind in wanted if kind not in _CONTOURED]
    masks: dict[str, Output] = {}
    for mask in masks_of(findings, wanted, provenance, uids):
        masks[mask.role] = mask
        yield mask
    others: list[Output] = []
    for one in _beside(findings, wanted, provenance, uids, masks):
        others.append(one)
        yield one
    if "sr" in wanted or not (masks or others):
        yield from reports(
            "sr",
            lambda uids, mask, company: measurements.write(findings, provenance, uids, mask, others=company),
            uids,
            masks,
            others,
        )


def _beside(
    findings: Findings, wanted: Sequence[str], provenance: Provenance, uids: ResultUids, masks: Mapping[str, Output]
) -> Iterator[Output]:
    """Everything but masks and the report that refers to all of it."""
    contours = rtstruct.write(findings, provenance, uids) if "rtstruct" in wanted else None
    if contours is not None:
        output = encode_as("rtstruct", "rtstruct", contours)
        contour_check.verify(output.data, findings)
        yield output
    if "map" in wanted:
        yield from _maps(findings, provenance, uids)
    if findings.features:
        yield from reports(
            "radiomics", lambda uids, mask, _: features.write(findings, provenance, uids, mask), uids, masks
        )
    yield from _drawn(findings, wanted, provenance, uids)


def _maps(findings: Findings, provenance: Provenance, uids: ResultUids) -> Iterator[Output]:
    """The probabilities behind the mask."""
    for one, dataset in parametric.maps_of(findings, provenance, uids):
        output = encode_as(f"map-{one.segment.number}", "map", dataset)
        map_check.verify(output.data, one.volume, parametric.PROBABILITY, findings, slope=one.slope)
        # A large series has a hundred megabytes of them, which the bytes of the file hold, too.
        del dataset.PixelData
        yield output


def _drawn(findings: Findings, wanted: Sequence[str], provenance: Provenance, uids: ResultUids) -> Iterator[Output]:
    """What is drawn for people."""
    if not _DRAWN & set(wanted):
        return
    pictures = pictures_of(findings, provenance)
    if "picture" in wanted:
        images = secondary.write(findings, provenance, uids, pictures)
        for number, (picture, image) in enumerate(zip(pictures, images, strict=True), start=1):
            output = encode_as(f"picture-{number}", "picture", image)
            drawn_check.verify_picture(output.data, findings.source.datasets, picture)
            yield output
    if "pdf" in wanted:
        output = encode_as("pdf", "pdf", onepage.write(findings, provenance, uids, pictures))
        drawn_check.verify_pdf(output.data, findings.source.datasets)
        yield output


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
        output = encode_as("refusal-picture", "refusal-picture", image)
        drawn_check.verify_picture(output.data, headers)
        yield output
