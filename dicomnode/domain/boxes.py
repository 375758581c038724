"""Where the labels of a map lie, each as the slices that cut its bounding box out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]

#: A look for one label costs a tenth of a look for all of them at once (`python -m bench.settled`, RESULTS.md).
_FEW = 8


def boxes(labels: NDArray[Any]) -> dict[int, Box]:
    """Label → bounding box, of the labels that occur; 0 is background.

    Parameters
    ----------
    labels
        Unsigned integers of shape (slice, row, column).
    """
    around = _around(labels)
    if around is None:
        return {}
    inner = labels[around]
    most = int(inner.max())
    found: Sequence[Any]
    if most <= _FEW:
        found = [_around(inner == number) for number in range(1, most + 1)]
    else:
        # Imported here: processes that only carry reports about have no need of it, and start sooner.
        from scipy import ndimage

        found = ndimage.find_objects(inner)
    return {number: _moved(box, around) for number, box in enumerate(found, start=1) if box is not None}


def _around(labels: NDArray[Any]) -> Box | None:
    """The box of whatever is not background: three passes of maxima, which are as fast as memory."""
    if not labels.size:
        return None
    plane = labels.max(axis=0)
    spans = [np.flatnonzero(line) for line in (labels.max(axis=2).max(axis=1), plane.max(axis=1), plane.max(axis=0))]
    if not spans[0].size:
        return None
    slices, rows, columns = (slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    return slices, rows, columns


def _moved(box: Box, around: Box) -> Box:
    slices, rows, columns = (
        slice(part.start + outer.start, part.stop + outer.start) for part, outer in zip(box, around, strict=True)
    )
    return slices, rows, columns
