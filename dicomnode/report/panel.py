"""One plane of a series as a picture: grey levels, outlines, boxes, orientation letters and a scale bar."""

from __future__ import annotations

from dataclasses import dataclass

import contourpy
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dicomnode.domain.finding import Detection, Findings
from dicomnode.report.callipers import draw_diameters
from dicomnode.report.focus import Focus
from dicomnode.report.lettering import cut, drawable, font
from dicomnode.report.place import BLACK, WHITE, Place
from dicomnode.report.view import View
from dicomnode.report.window import Window
from dicomnode.report.wording import number_text

#: Pixels. A picture of 1024 is often shown at half its size, where letters of 9 are still read.
_LETTER, _CAPTION = 22, 18
_INSET = 6
_HALO = 2

#: Colours whose red, green and blue add up to less cannot be told from a black halo.
_DARK = 200

#: Lengths that scale bars may have; the bar takes at most this part of the width.
_BARS_MM = (100, 50, 20, 10, 5, 2, 1)
_BAR_PART = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A part of the picture for one view, in pixels."""

    left: int
    top: int
    width: int
    height: int


def draw_view(
    picture: Image.Image,
    frame: Frame,
    view: View,
    findings: Findings,
    window: Window,
    *,
    caption: str,
    focus: Focus | None = None,
    crop: tuple[int, int, int, int] | None = None,
) -> Place:
    """Draw a plane as large as `frame` allows, with square millimetres, in the middle of it.

    Parameters
    ----------
    focus
        Its outline is thicker than those of other segments; its detection, too.
    crop
        The part to show, in voxels of the view; all by default.

    Returns
    -------
    Place
        Where the voxels went.
    """
    top, left, bottom, right = crop or (0, 0, *view.shape)
    height_mm, width_mm = (bottom - top) * view.spacing_mm[0], (right - left) * view.spacing_mm[1]
    scale = min(frame.width / width_mm, frame.height / height_mm)
    size = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
    corner = frame.left + (frame.width - size[0]) // 2, frame.top + (frame.height - size[1]) // 2
    place = Place(view=view, crop=(top, left, bottom, right), corner=corner, size=size)
    part = (slice(top, bottom), slice(left, right))
    grey = window.grey(np.ascontiguousarray(view.of(findings.source.volume.array)[part]))
    picture.paste(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC).convert("RGB"), corner)
    # Outlines and boxes that leave the part shown are cut at its edge.
    within = picture.crop((*corner, corner[0] + size[0], corner[1] + size[1]))
    local = Place(view=view, crop=place.crop, corner=(0, 0), size=size)
    draw = ImageDraw.Draw(within)
    _outlines(draw, local, findings, view.of(findings.segmentation.volume.array)[part], focus)
    if view.axis == 0:
        draw_diameters(draw, local, findings, focus)
    for detection in findings.detections:
        _box(draw, local, detection, thick=focus is not None and focus.detection == detection)
    picture.paste(within, corner)
    _annotate(ImageDraw.Draw(picture), frame, place, caption, scale)
    return place


def rings(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Closed outlines of a mask half-way between voxels in and out, holes too, as (down, right) from its corner."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return []
    part = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1).astype(np.float32)
    lines = contourpy.contour_generator(z=part, line_type=contourpy.LineType.Separate).lines(0.5)
    # A voxel of padding in front of the first, half a voxel from corner to centre.
    corner = np.array([rows[0] - 0.5, columns[0] - 0.5])
    return [np.asarray(line, dtype=float)[:, ::-1] + corner for line in lines]


def _outlines(
    draw: ImageDraw.ImageDraw, place: Place, findings: Findings, labels: NDArray[np.uint8], focus: Focus | None
) -> None:
    sizes = np.bincount(labels.ravel(), minlength=256)
    first = np.array(place.crop[:2], dtype=float)
    looked_at = focus.segment if focus and not focus.detection else None
    # The smallest come last: where two touch, the outline of what lies within the other is whole.
    for segment in sorted(findings.segmentation.segments, key=lambda one: -int(sizes[one.number])):
        if not sizes[segment.number]:
            continue
        width = 4 if segment == looked_at else 3
        lines = [
            [(float(x), float(y)) for x, y in place.pixels(ring + first)] for ring in rings(labels == segment.number)
        ]
        halo = WHITE if sum(segment.color_rgb) < _DARK else BLACK
        for line in lines:
            draw.line(line, fill=halo, width=width + 2)
        for line in lines:
            draw.line(line, fill=segment.color_rgb, width=width)


def _box(draw: ImageDraw.ImageDraw, place: Place, detection: Detection, *, thick: bool) -> None:
    view = place.view
    if not detection.low[view.axis] <= view.index <= detection.high[view.axis]:
        return
    top, left, bottom, right = view.span(detection.low, detection.high)
    (x0, y0), (x1, y1) = place.pixels(np.array([(top, left), (bottom, right)])).tolist()
    colour = detection.segment.color_rgb
    width = 3 if thick else 2
    draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=BLACK, width=width + 2)
    draw.rectangle((x0, y0, x1, y1), outline=colour, width=width)
    text = f"{detection.number}: {number_text(detection.score, 2)}"
    face = font(_CAPTION)
    x = max(0.0, min(x0, place.size[0] - face.getlength(text) - _HALO))
    above = y0 - _CAPTION - 6
    y = above if above >= 0 else min(y1 + 4, place.size[1] - _CAPTION - 4)
    draw.text((x, y), text, font=face, fill=colour, stroke_width=_HALO, stroke_fill=BLACK)


def _annotate(draw: ImageDraw.ImageDraw, frame: Frame, place: Place, caption: str, scale: float) -> None:
    """Letters at the middle of the edges, the caption above, the scale bar below."""
    letter = font(_LETTER, bold=True)
    centre = frame.left + frame.width / 2, frame.top + frame.height / 2
    right, bottom = frame.left + frame.width - _INSET, frame.top + frame.height - _INSET
    # Beside the image where there is room, else on it.
    wide = [letter.getlength(text) + 2 * _INSET for text in place.view.letters[:2]]
    outside = place.corner[0] - wide[0], place.corner[0] + place.size[0] + wide[1]
    at = (
        ((max(frame.left + _INSET, outside[0]), centre[1]), "lm"),
        ((min(right, outside[1]), centre[1]), "rm"),
        # Below the caption, which takes the upper edge.
        ((centre[0], frame.top + _CAPTION + 3 * _INSET), "mt"),
        ((centre[0], bottom), "mb"),
    )
    for text, (point, anchor) in zip(place.view.letters, at, strict=True):
        _text(draw, point, text, letter, anchor)
    small = font(_CAPTION)
    _text(draw, (frame.left + _INSET, frame.top + _INSET), cut(drawable(caption), frame.width - 12, small), small, "lt")
    bar_mm = next((mm for mm in _BARS_MM if mm * scale <= _BAR_PART * frame.width), None)
    if bar_mm:
        x, y, length = frame.left + 2 * _INSET, bottom - 4, round(bar_mm * scale)
        draw.rectangle((x - 2, y - 3, x + length + 2, y + 3), fill=BLACK)
        draw.rectangle((x, y - 1, x + length, y + 1), fill=WHITE)
        _text(draw, (x, y - 8), f"{bar_mm} mm", small, "lb")


def _text(draw: ImageDraw.ImageDraw, point: tuple[float, float], text: str, face: object, anchor: str) -> None:
    draw.text(point, text, font=face, fill=WHITE, anchor=anchor, stroke_width=_HALO, stroke_fill=BLACK)  # type: ignore[arg-type]
