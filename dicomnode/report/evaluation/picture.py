"""The slice on which an answer and its reference differ most, with both outlines."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.model import Segment
from dicomnode.report.panel import rings
from dicomnode.report.window import window_for

#: RGB of the two outlines, told apart also by those who do not tell red from green (Okabe and Ito 2008).
REFERENCE_RGB, ANSWER_RGB = (86, 180, 233), (230, 159, 0)

#: What of the patient is shown round the two masks, mm.
_MARGIN_MM = 25.0

#: Longer side of a picture in pixels.
_SIDE = 420


def difference_png(
    source: SourceSeries, reference: NDArray[np.bool_], answer: NDArray[np.bool_], segment: Segment
) -> bytes | None:
    """A cut-out of one slice as PNG, None where both masks are empty.

    Parameters
    ----------
    reference, answer
        bool, shape (slice, row, column) of the source.
    segment
        What is shown, which decides the window.
    """
    either = reference | answer
    if not either.any():
        return None
    apart = np.count_nonzero(reference ^ answer, axis=(1, 2))
    index = int(np.argmax(apart)) if apart.any() else int(np.argmax(np.count_nonzero(either, axis=(1, 2))))
    _, row_mm, column_mm = source.volume.spacing
    box = tuple(
        _wide(either[index].any(axis=1 - axis), _MARGIN_MM / length, either.shape[axis + 1])
        for axis, length in enumerate((row_mm, column_mm))
    )
    grey = window_for(source, segment, (slice(index, index + 1), *box)).grey(source.volume.array[index][box])
    height_mm, width_mm = grey.shape[0] * row_mm, grey.shape[1] * column_mm
    scale = _SIDE / max(height_mm, width_mm)
    size = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
    picture = Image.fromarray(grey).convert("RGB").resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for mask, colour in ((reference, REFERENCE_RGB), (answer, ANSWER_RGB)):
        for ring in rings(mask[index][box]):
            line = [(x * column_mm * scale, y * row_mm * scale) for y, x in ring]
            draw.line(line, fill=colour, width=2)
    told = f"slice {index + 1} of {len(either)}"
    draw.text((5, 4), told, fill=(255, 255, 255), stroke_width=1, stroke_fill=(0, 0, 0))
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _wide(held: NDArray[np.bool_], margin: float, length: int) -> slice:
    places = np.flatnonzero(held)
    return slice(max(0, int(places[0] - margin)), min(length, int(places[-1] + margin) + 1))
