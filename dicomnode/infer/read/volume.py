"""Reads a series of images as one volume in patient space, with the headers of its slices in the same order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pydicom import Dataset

from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.read.series import read_stacks


def read_series(
    paths: Sequence[Path], *, suv: str = "bw", amend: Callable[[Dataset], None] | None = None
) -> SourceSeries:
    """Read CT, MR, PET or NM images, single- or multi-frame, as one volume.

    Slices are ordered along the normal, the cross product of row and column direction (PS3.3 C.7.6.2.1.1). Rows and
    columns stay as they are. Values are rescaled slice by slice (PS3.3 C.11.1.1.2); padding becomes air. The
    array is int16 when every slope and intercept is an integer and all values fit, else float32. A tilted stack is
    resampled to an upright grid. Of several stacks the best is read, and a warning names the others
    (`stacks.split` says which is best). A series of one CT, MR or PET image is a volume of one slice, as thick as it
    states. Warnings tell where fewer images came than the headers announce.

    Parameters
    ----------
    paths
        Part 10 files of one series, in any order.
    suv
        Kind of standardised uptake value that PET images become: `bw`, `lbm`, `bsa` ….
    amend
        Puts what is known better into each header, before anything is made of it.

    Raises
    ------
    Unsuitable
        If they hold no regular stack of greyscale images of one patient, or cannot be decoded.
    """
    found = read_stacks(paths, amend)
    chosen = found.preferred()
    source = chosen.read(suv=suv)
    return replace(source, warnings=(*source.warnings, *found.others(chosen)))
