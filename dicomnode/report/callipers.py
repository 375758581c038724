"""Diameters drawn on the slice that they were measured on, with their lengths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from dicomnode.domain.finding import Findings, Measurement
from dicomnode.report.diameter import diameters, voxels
from dicomnode.report.focus import Focus
from dicomnode.report.lettering import font
from dicomnode.report.place import BLACK, Place
from dicomnode.report.table import segments_of
from dicomnode.report.wording import measurement_text

#: Neither a colour of segments in the bundles nor grey.
YELLOW = (255, 240, 90)

#: Pixels. Where a long axis is shorter than this, lines and letters would hide what they measure.
_LEAST = 60
_LETTER = 18
_WIDTH, _HALO, _GAP = 2, 2, 6


def draw_diameters(draw: ImageDraw.ImageDraw, place: Place, findings: Findings, focus: Focus | None) -> None:
    """Long and short axis of lesions on a slice, those of the finding looked at, or of all where there is none.

    Parameters
    ----------
    place
        A slice of the series as it is stored.
    """
    for segment in segments_of(findings):
        if focus is not None and focus.segment is not None and focus.segment.number != segment.number:
            continue
        rows = [row for row in diameters(findings, segment.number) if row.plane == place.view.index]
        lines = [_line(row, place, findings) for row in rows]
        if not lines or _length(lines[0]) < _LEAST:
            continue
        for line in lines:
            ends = [(float(x), float(y)) for x, y in line]
            draw.line(ends, fill=BLACK, width=_WIDTH + 2)
            draw.line(ends, fill=YELLOW, width=_WIDTH)
        for row, line in zip(rows, lines, strict=True):
            _letters(draw, measurement_text(row), line, place)


def _line(row: Measurement, place: Place, findings: Findings) -> NDArray[np.float64]:
    """Its two ends in pixels of the picture, (x, y)."""
    # The first voxel of a view goes from 0 to 1.
    return place.pixels(voxels(row.points_mm, findings.source)[:, 1:] + 0.5)


def _length(line: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(line[1] - line[0]))


def _letters(draw: ImageDraw.ImageDraw, text: str, line: NDArray[np.float64], place: Place) -> None:
    """The length beyond that end of its line which lies to the right, within the picture."""
    right = int(line[1][0] >= line[0][0])
    end, away = line[right], line[right] - line[1 - right]
    x, y = end + _GAP * away / max(_length(line), 1.0)
    face = font(_LETTER)
    x = min(max(0.0, float(x)), place.size[0] - face.getlength(text) - _HALO)
    y = min(max(_LETTER / 2, float(y)), place.size[1] - _LETTER / 2 - _HALO)
    draw.text((x, y), text, font=face, fill=YELLOW, anchor="lm", stroke_width=_HALO, stroke_fill=BLACK)
