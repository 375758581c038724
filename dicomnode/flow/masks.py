"""The mask of an analysis in every form that a destination asks for, each read back and compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.output import Output, Write, encode_as
from dicomnode.flow.suited import ALL_FRAMES, WITHOUT_BACKGROUND
from dicomnode.report import check, labelmap, segmentation


def masks(
    findings: Findings, wanted: Sequence[str], provenance: Provenance, uids: ResultUids
) -> Iterator[tuple[str, Write]]:
    """Roles and how each is made, the best form first; nothing comes of a mask without voxels.

    Parameters
    ----------
    wanted
        Kinds of output, and beside them roles of masks that some destination has to have in another form.
    """

    def seg(role: str, *, empty_frames: bool = False) -> Iterator[Output]:
        mask = segmentation.write(findings, provenance, _named(uids, role, "seg"), empty_frames=empty_frames)
        if mask is not None:
            output = encode_as(role, "seg", mask, stands_in=empty_frames)
            check.verify(output.data, findings)
            yield output

    def label_map(role: str, *, background: bool = True) -> Iterator[Output]:
        labels = labelmap.write(findings, provenance, _named(uids, role, "labelmap"), background=background)
        if labels is not None:
            output = encode_as(role, "labelmap", labels, stands_in=not background)
            labelmap.verify(output.data, findings, background=background)
            yield output

    if "seg" in wanted:
        yield "seg", lambda: seg("seg")
    if "labelmap" in wanted:
        yield "labelmap", lambda: label_map("labelmap")
    if {"seg", ALL_FRAMES} <= set(wanted):
        yield ALL_FRAMES, lambda: seg(ALL_FRAMES, empty_frames=True)
    if {"labelmap", WITHOUT_BACKGROUND} <= set(wanted):
        yield WITHOUT_BACKGROUND, lambda: label_map(WITHOUT_BACKGROUND, background=False)


def _named(uids: ResultUids, role: str, kind: str) -> ResultUids:
    """A mask of other bytes has other UIDs."""
    return replace(uids, variant=role.removeprefix(kind).removeprefix("-"))
