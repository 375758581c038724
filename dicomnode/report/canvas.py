"""A black page of 1024 pixels each way that is written on from the top, with its bands above and below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dicomnode.report.banner import Banner
from dicomnode.report.lettering import cut, drawable, font, wrapped
from dicomnode.report.place import BLACK, GREY, WHITE

Colour = tuple[int, int, int]

AMBER: Colour = (255, 190, 60)
RED: Colour = (255, 110, 100)
_BAND: Colour = (28, 34, 44)

#: Pixels: the page, where its middle part begins and ends, and the margin of text.
WIDTH, HEIGHT = 1024, 1024
BODY, BOTTOM = 138, 962
SIDE = 12

_SMALL, _NAME = 18, 24
_SPACING = 1.35
_SWATCH = 18
_INDENT = _SWATCH + 8
_LINE = round(_SMALL * _SPACING)


class Canvas:
    """A page in the making.

    Attributes
    ----------
    y
        Where the next line begins.
    """

    def __init__(self) -> None:
        self.picture = Image.new("RGB", (WIDTH, HEIGHT), BLACK)
        self.y = BODY
        self._draw = ImageDraw.Draw(self.picture)

    def array(self) -> NDArray[np.uint8]:
        """The page as RGB, shape (row, column, 3)."""
        return np.asarray(self.picture)

    def line(
        self,
        text: str,
        *,
        size: int,
        bold: bool = False,
        fill: Colour = WHITE,
        swatch: Colour | None = None,
        width: int = WIDTH - 2 * SIDE,
    ) -> None:
        """One line, cut where it is too long; nothing where the page is full."""
        height = round(size * _SPACING)
        if self.y + height > BOTTOM:
            return
        left = SIDE
        if swatch:
            self._patch(left, self.y + (height - _SWATCH) // 2, swatch)
            left += _INDENT
        face = font(size, bold=bold)
        text = cut(drawable(text), width - (left - SIDE), face)
        self._draw.text((left, self.y + height / 2), text, font=face, fill=fill, anchor="lm")
        self.y += height

    def paragraph(self, text: str, *, size: int, bold: bool = False, fill: Colour = WHITE, most: int = 3) -> None:
        """Text broken into at most so many lines."""
        for line in wrapped(drawable(text), WIDTH - 2 * SIDE, font(size, bold=bold), most):
            self.line(line, size=size, bold=bold, fill=fill)

    def step(self, size: int) -> int:
        """How far apart lines of letters of this size are."""
        return round(size * _SPACING)

    def gap(self) -> None:
        """Some room before what comes next."""
        self.y += 10

    def grid(
        self,
        heads: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        fills: Sequence[Colour] = (),
        swatches: Sequence[Colour | None] = (),
        head_swatches: Sequence[Colour | None] = (),
        parts: Sequence[float] = (),
    ) -> None:
        """A table over the whole width; rows that find no room are counted below it.

        Parameters
        ----------
        fills
            Colour of each row's text.
        swatches, head_swatches
            A patch of colour before each row, each head.
        parts
            Widths of the columns as parts of the whole; else the first is wide and the others share the rest.
        """
        others = max(1, len(heads) - 1)
        each = min(0.2, 0.76 / others)
        widths = np.array(parts or [1 - others * each, *[each] * others]) * (WIDTH - 2 * SIDE)
        edges = SIDE + np.concatenate([[0.0], np.cumsum(widths)[:-1]])
        patches = [False] * len(heads) if not head_swatches else [one is not None for one in head_swatches]
        titles = self._cells(heads, widths, patches, bold=True)
        self._row(titles, edges, head_swatches or [None] * len(heads), GREY, bold=True)
        self._draw.line((SIDE, self.y, WIDTH - SIDE, self.y), fill=GREY)
        self.y += 6
        for number, row in enumerate(rows):
            patches = [bool(swatches), *[False] * others]
            cells = self._cells(row, widths, patches)
            # The last line is kept for the count of what is left out, unless nothing comes after this row.
            rest = 0 if number == len(rows) - 1 else _LINE
            if self.y + _LINE * max(len(cell) for cell in cells) + rest > BOTTOM:
                self.line(f"{len(rows) - number} more in the structured report", size=_SMALL, fill=GREY)
                return
            swatch = swatches[number] if swatches else None
            self._row(cells, edges, [swatch, *[None] * others], fills[number] if fills else WHITE)

    def _cells(
        self, texts: Sequence[str], widths: NDArray[np.float64], patches: Sequence[bool], *, bold: bool = False
    ) -> list[list[str]]:
        face = font(_SMALL, bold=bold)
        return [
            wrapped(drawable(text), float(width) - 8 - (_INDENT if patch else 0), face, 4) or [""]
            for text, width, patch in zip(texts, widths, patches, strict=True)
        ]

    def _row(
        self,
        cells: Sequence[Sequence[str]],
        edges: NDArray[np.float64],
        swatches: Sequence[Colour | None],
        fill: Colour,
        *,
        bold: bool = False,
    ) -> None:
        for cell, left, swatch in zip(cells, edges, swatches, strict=True):
            if swatch:
                self._patch(float(left), self.y + 2, swatch)
            for place, text in enumerate(cell):
                at = (float(left) + (_INDENT if swatch else 0), self.y + place * _LINE)
                self._draw.text(at, text, font=font(_SMALL, bold=bold), fill=fill)
        self.y += _LINE * max(len(cell) for cell in cells) + 4

    def frame(self, head: Banner, warnings: Sequence[str], number: str) -> None:
        """The bands: who and what above, warnings and what the picture is not below."""
        draw = self._draw
        draw.rectangle((0, 0, WIDTH, BODY - 6), fill=_BAND)
        name, small = font(_NAME, bold=True), font(_SMALL)
        badge = f"AI {number}".strip()
        room = WIDTH - 2 * SIDE - name.getlength(badge) - 16
        identity = f" · {head.identity}"
        shown = cut(head.name, max(room / 3, room - name.getlength(identity)), name)
        draw.text((SIDE, 6), cut(f"{shown}{identity}", room, name), font=name, fill=WHITE)
        draw.text((WIDTH - SIDE, 6), badge, font=name, fill=AMBER, anchor="ra")
        for place, text in enumerate(head.lines):
            fill = AMBER if text.startswith("SUPERSEDES") else WHITE
            draw.text((SIDE, 38 + 23 * place), cut(text, WIDTH - 2 * SIDE, small), font=small, fill=fill)
        draw.rectangle((0, BOTTOM, WIDTH, HEIGHT), fill=_BAND)
        if warnings:
            more = f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else ""
            text = cut(drawable(warnings[0]), WIDTH - 2 * SIDE - small.getlength(more), small) + more
            draw.text((SIDE, BOTTOM + 6), text, font=small, fill=AMBER)
        size = 20
        while font(size, bold=True).getlength(head.disclaimer) > WIDTH - 2 * SIDE:
            size -= 1
        draw.text((WIDTH / 2, HEIGHT - 8), head.disclaimer, font=font(size, bold=True), fill=RED, anchor="mb")

    def _patch(self, left: float, top: float, colour: Colour) -> None:
        self._draw.rectangle((left, top, left + _SWATCH, top + _SWATCH), fill=colour, outline=WHITE)
