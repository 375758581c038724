"""A small picture of one image with the outline and number of every segment, for the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dicomnode.domain.finding import SourceSeries
from dicomnode.report.lettering import cut, drawable, font
from dicomnode.report.panel import rings
from dicomnode.report.window import window_for

#: RGB, told apart also by those who do not tell red from green (Okabe and Ito 2008), bright on a dark image.
_COLOURS = ((230, 159, 0), (86, 180, 233), (240, 228, 66), (204, 121, 167), (0, 190, 140), (213, 94, 0))

#: Longer side in pixels: twice what the page gives it, for screens with small pixels.
_SIDE = 768

#: So many segments are named in the corner; all are outlined.
_NAMED = 8

_LETTERS = 18


def preview_png(source: SourceSeries, index: int, labels: NDArray[np.uint8], names: Mapping[int, str]) -> bytes:
    """One slice as PNG with outlines, each with its number, and in the corner what the numbers mean.

    Parameters
    ----------
    index
        Slice of the source.
    labels
        Segment numbers, shape (row, column), 0 for none.
    names
        Segment number → label.
    """
    _, row_mm, column_mm = source.volume.spacing
    image = source.volume.array[index]
    scale = _SIDE / max(image.shape[0] * row_mm, image.shape[1] * column_mm)
    size = max(1, round(image.shape[1] * column_mm * scale)), max(1, round(image.shape[0] * row_mm * scale))
    grey = window_for(source, None, (slice(index, index + 1), *_around(labels))).grey(image)
    picture = Image.fromarray(grey).convert("RGB").resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    shown = [int(number) for number in np.unique(labels) if number]
    for number in shown:
        mask = labels == number
        for ring in rings(mask):
            points = [(x * column_mm * scale, y * row_mm * scale) for y, x in ring]
            draw.line(points, fill=_colour(number), width=3)
        row, column = _inside(mask)
        place = (column * column_mm * scale, row * row_mm * scale)
        _write(draw, place, str(number), number, anchor="mm")
    for line, number in enumerate(shown[:_NAMED]):
        text = cut(drawable(f"{number} {names.get(number, '')}"), size[0] - 20, font(_LETTERS))
        _write(draw, (10, 8 + line * (_LETTERS + 6)), text, number)
    out = BytesIO()
    picture.save(out, "PNG", compress_level=6)
    return out.getvalue()


def _write(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, number: int, anchor: str = "la") -> None:
    face = font(_LETTERS, bold=True)
    draw.text(place, text, _colour(number), face, anchor, stroke_width=2, stroke_fill=(0, 0, 0))


def _colour(number: int) -> tuple[int, int, int]:
    return _COLOURS[(number - 1) % len(_COLOURS)]


def _inside(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """A pixel of the mask (row, column) near its middle; what is bent may have its centre outside."""
    rows, columns = np.nonzero(mask)
    nearest = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
    return float(rows[nearest]), float(columns[nearest])


def _around(labels: NDArray[np.uint8]) -> tuple[slice, slice]:
    """The rows and columns that hold a segment; all of them where none does."""
    rows, columns = np.flatnonzero(labels.any(axis=1)), np.flatnonzero(labels.any(axis=0))
    if not rows.size:
        return slice(None), slice(None)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
