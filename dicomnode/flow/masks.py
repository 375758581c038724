"""The mask of an analysis in every form that a destination asks for, each read back and compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.output import Output, encode_as
from dicomnode.flow.suited import ALL_FRAMES, WITHOUT_BACKGROUND
from dicomnode.report import check, labelmap, segmentation


def masks_of(findings: Findings, wanted: Sequence[str], provenance: Provenance, uids: ResultUids) -> Iterator[Output]:
    """The best form first; none of a mask without voxels.

    Parameters
    ----------
    wanted
        Kinds of output, and beside them roles of masks that some destination has to have in another form.

    Raises
    ------
    EncodingError
        If an object cannot be built or does not say what the mask says.
    """
    if "seg" in wanted and (mask := segmentation.write(findings, provenance, uids)) is not None:
        output = encode_as("seg", "seg", mask)
        check.verify(output.data, findings)
        yield output
    if "labelmap" in wanted and (labels := labelmap.write(findings, provenance, uids)) is not None:
        output = encode_as("labelmap", "labelmap", labels)
        labelmap.verify(output.data, findings)
        yield output
    yield from _special(findings, wanted, provenance, uids)


def _special(findings: Findings, wanted: Sequence[str], provenance: Provenance, uids: ResultUids) -> Iterator[Output]:
    """Masks of other bytes, and thus of other UIDs."""
    if {"seg", ALL_FRAMES} <= set(wanted):
        named = replace(uids, variant="all-frames")
        mask = segmentation.write(findings, provenance, named, empty_frames=True)
        if mask is not None:
            output = encode_as(ALL_FRAMES, "seg", mask, stands_in=True)
            check.verify(output.data, findings)
            yield output
    if {"labelmap", WITHOUT_BACKGROUND} <= set(wanted):
        named = replace(uids, variant="without-background")
        labels = labelmap.write(findings, provenance, named, background=False)
        if labels is not None:
            output = encode_as(WITHOUT_BACKGROUND, "labelmap", labels, stands_in=True)
            labelmap.verify(output.data, findings, background=False)
            yield output
