"""Refuses what was drawn in another frame of reference than that of the images."""

from __future__ import annotations

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.uid import derived_uid


def require_frame(subject: str, theirs: str, source: SourceSeries) -> None:
    """Compare frames of reference where both sides have one; SEG and RTSTRUCT are of the same study already.

    Parameters
    ----------
    subject
        What was drawn, for the message.
    theirs
        Frame of Reference UID that it names, or "".

    Raises
    ------
    Unsuitable
        With both UIDs.
    """
    header = source.datasets[0]
    ours = str(header.get("FrameOfReferenceUID") or "")
    # What reading gave to images without one agrees with nothing.
    made_up = derived_uid(str(header.get("SeriesInstanceUID", "")), "frame of reference")
    if theirs and ours not in (theirs, made_up):
        raise Unsuitable(f"{subject}: frame of reference {theirs}, needed that of the images, {ours or 'not told'}")
