"""Pictures for people: the outline of every segment on the image it was found in."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

#: Window of a CT picture in HU (centre, width); the lung window in common use.
LUNG_WINDOW_HU = (-600.0, 1500.0)
#: Enlarged so that an outline is thin against the structures that it follows.
_SCALE = 2


def outline_png(
    image: npt.NDArray[np.generic],
    labels: npt.NDArray[np.uint8],
    colours: dict[int, tuple[int, int, int]],
    captions: Sequence[str] = (),
    *,
    window: tuple[float, float] = LUNG_WINDOW_HU,
    pixel_spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> bytes:
    """One slice as PNG with outlines.

    Parameters
    ----------
    image
        Intensities, shape (row, column).
    labels
        Segment numbers, same shape.
    colours
        RGB of each segment number.
    captions
        Lines written into the upper left corner.
    window
        Centre and width (PS3.3 C.11.2.1.2) in the unit of the image.
    pixel_spacing_mm
        (row, column); the picture's pixels are made square.
    """
    centre, width = window
    grey = np.clip((image.astype(np.float32) - (centre - width / 2)) / width, 0, 1) * 255
    rgb = np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    rows, columns = image.shape
    size = (columns * _SCALE, round(rows * _SCALE * pixel_spacing_mm[0] / pixel_spacing_mm[1]))
    picture = Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC)
    canvas = np.array(picture)
    for number, colour in colours.items():
        mask = Image.fromarray((labels == number).astype(np.uint8) * 255).resize(size, Image.Resampling.NEAREST)
        canvas[_edge(np.asarray(mask) > 0)] = colour
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    for line, text in enumerate(captions):
        draw.text((8, 8 + 14 * line), text, fill=(255, 255, 255), stroke_width=1, stroke_fill=(0, 0, 0))
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _edge(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels of the mask with a neighbour outside it."""
    padded = np.pad(mask, 1)
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inside
