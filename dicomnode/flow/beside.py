"""Findings as everything that goes beside masks and the report that refers to all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from pydicom import Dataset

from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.forms import MASKS
from dicomnode.flow.output import Output, Write, encode_as
from dicomnode.flow.reports import reports
from dicomnode.flow.takers import Taker
from dicomnode.report import (
    contour_check,
    drawn_check,
    features,
    map_check,
    onepage,
    parametric,
    report_check,
    rtstruct,
    secondary,
)
from dicomnode.report.page import pictures_of
from dicomnode.report.picture import Picture


def beside(
    findings: Findings,
    wanted: Sequence[str],
    provenance: Provenance,
    uids: ResultUids,
    made: Sequence[Output],
    takers: Sequence[Taker],
) -> Iterator[tuple[str, Write]]:
    """What is made, by its kind, and how.

    Parameters
    ----------
    made
        Holds the masks by the time when these are written.
    """
    if "rtstruct" in wanted:
        yield "rtstruct", lambda: _contours(findings, provenance, uids)
    if "map" in wanted:
        yield "map", lambda: _maps(findings, provenance, uids)
    if findings.features:
        yield "radiomics", lambda: _features(findings, provenance, uids, made, takers)
    pictures = cache(lambda: pictures_of(findings, provenance))
    if "picture" in wanted:
        yield "picture", lambda: _pictures(findings, provenance, uids, pictures())
    if "pdf" in wanted:
        yield "pdf", lambda: _page(findings, provenance, uids, pictures())


def _contours(findings: Findings, provenance: Provenance, uids: ResultUids) -> Iterator[Output]:
    contours = rtstruct.write(findings, provenance, uids)
    if contours is not None:
        output = encode_as("rtstruct", "rtstruct", contours)
        contour_check.verify(output.data, findings)
        yield output


def _maps(findings: Findings, provenance: Provenance, uids: ResultUids) -> Iterator[Output]:
    """The probabilities behind the mask."""
    for one, dataset in parametric.maps_of(findings, provenance, uids):
        output = encode_as(f"map-{one.segment.number}", "map", dataset)
        map_check.verify(output.data, one.volume, parametric.PROBABILITY, findings, slope=one.slope)
        # A large series has a hundred megabytes of them, which the bytes of the file hold, too.
        del dataset.PixelData
        yield output


def _features(
    findings: Findings, provenance: Provenance, uids: ResultUids, made: Sequence[Output], takers: Sequence[Taker]
) -> Iterator[Output]:
    """A report about the findings of a mask refers to that and to nothing else."""

    def write(uids: ResultUids, mask: Dataset | None, _company: Sequence[Dataset]) -> Dataset | None:
        return features.write(findings, provenance, uids, mask)

    def verify(data: bytes) -> None:
        report_check.verify(data, findings.source.datasets)

    masks = [one for one in made if one.kind in MASKS]
    return reports("radiomics", write, uids, masks, takers, verify)


def _pictures(
    findings: Findings, provenance: Provenance, uids: ResultUids, pictures: Sequence[Picture]
) -> Iterator[Output]:
    images = secondary.write(findings, provenance, uids, pictures)
    for number, (picture, image) in enumerate(zip(pictures, images, strict=True), start=1):
        output = encode_as(f"picture-{number}", "picture", image)
        drawn_check.verify_picture(output.data, findings.source.datasets, picture)
        yield output


def _page(
    findings: Findings, provenance: Provenance, uids: ResultUids, pictures: Sequence[Picture]
) -> Iterator[Output]:
    output = encode_as("pdf", "pdf", onepage.write(findings, provenance, uids, pictures))
    drawn_check.verify_pdf(output.data, findings.source.datasets)
    yield output
