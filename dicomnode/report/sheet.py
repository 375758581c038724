"""An A4 page of text and pictures, black on white so that a grey printer does."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import matplotlib
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from dicomnode.domain.finding import Findings, Provenance
from dicomnode.report.banner import banner
from dicomnode.report.compared import VERDICT, lines_of
from dicomnode.report.focus import foci_of
from dicomnode.report.lesion_table import lesion_table
from dicomnode.report.lettering import cut, drawable, font, font_file, wrapped
from dicomnode.report.page import is_warning, remarks_on
from dicomnode.report.picture import Picture
from dicomnode.report.provenance import MODEL_NAME, headline
from dicomnode.report.table import Table, answers, table_of

#: A4 (ISO 216) and its margin in mm.
_WIDTH_MM, _HEIGHT_MM, _MARGIN_MM = 210.0, 297.0, 15.0
_INCH_MM = 25.4
_POINT_MM = _INCH_MM / 72

#: Points.
_TITLE, _TEXT, _SMALL = 14.0, 9.0, 8.0
_SPACING = 1.4

#: Widths of text are measured with letters of so many pixels per point.
_MEASURED = 8

_MOST_PICTURES = 4
#: The pictures keep this part of the page; the table gets what they leave.
_PICTURES_MM = 120.0
_LEAST_PICTURE_MM = 40.0
_MOST_COLUMNS = 2
_GAP_MM = 4.0

#: In the grid of lesions their names take this part of the width.
_SUBJECT_PART = 0.22

#: In the table the names of quantities take this part of a column and stand a little to the right of the subject.
_NAME_PART = 0.75
_INDENT_MM = 3.0

#: From this version on matplotlib joins and reorders Arabic and Hebrew letters.
_SHAPES = tuple(int(part) for part in matplotlib.__version__.split(".")[:2]) >= (3, 11)


def sheet(findings: Findings, provenance: Provenance, pictures: Sequence[Picture]) -> bytes:
    """The page as PDF with its font embedded, the same bytes for the same result."""
    page = _Page()
    head = banner(findings.source.datasets, provenance, shapes=_SHAPES)
    page.text(headline(provenance), _TITLE, bold=True)
    page.text(head.disclaimer, _TEXT, bold=True)
    page.rule()
    page.text(f"{head.name} · {head.identity}", _TEXT, bold=True)
    for line in head.lines:
        page.text(line, _TEXT)
    page.rule()
    foci = foci_of(findings)
    for text in remarks_on(findings, provenance, foci):
        page.text(text, _TEXT, bold=is_warning(text), most=3)
    for text in answers(findings):
        page.text(text, _TEXT, most=2)
    for text in lines_of(findings.comparison):
        page.text(text, _TEXT, bold=text.startswith(VERDICT), most=3)
    # The first picture holds the table, which stands here in letters.
    chosen = [picture for picture in pictures[1:] if picture.places][:_MOST_PICTURES]
    reserved = _PICTURES_MM if chosen else 0.0
    page.grid(lesion_table(findings), reserved)
    page.table(table_of(findings), reserved)
    page.pictures(chosen)
    return page.pdf(headline(provenance))


class _Page:
    """The page in the making; `top_mm` is where the next line begins."""

    def __init__(self) -> None:
        self.top_mm = _MARGIN_MM
        self._figure = Figure(figsize=(_WIDTH_MM / _INCH_MM, _HEIGHT_MM / _INCH_MM), facecolor="white")
        FigureCanvasPdf(self._figure)

    def text(self, text: str, points: float, *, bold: bool = False, most: int = 2) -> None:
        for line in _lines(text, _WIDTH_MM - 2 * _MARGIN_MM, points, bold=bold, most=most):
            if self.top_mm + points * _SPACING * _POINT_MM > _bottom_mm():
                return
            self._put(line, _MARGIN_MM, points, top_mm=self.top_mm, bold=bold)
            self.top_mm += points * _SPACING * _POINT_MM

    def rule(self) -> None:
        self._line(self.top_mm + 1.0)
        self.top_mm += 2.5

    def grid(self, table: Table, reserved_mm: float) -> None:
        """A row per subject, a column per quantity; rows that find no room are counted."""
        if not table.rows:
            return
        self.top_mm += 2.0
        step = _SMALL * _SPACING * _POINT_MM
        room = max(2, int((_bottom_mm() - reserved_mm - self.top_mm) / step) - 2)
        first = _SUBJECT_PART * (_WIDTH_MM - 2 * _MARGIN_MM)
        each = (_WIDTH_MM - 2 * _MARGIN_MM - first) / len(table.columns)
        shown = table.rows[:room]
        for subject, cells, bold in (("", table.columns, True), *((row.subject, row.cells, False) for row in shown)):
            self._put(_cut(subject, first - 1, bold=True), _MARGIN_MM, _SMALL, top_mm=self.top_mm, bold=True)
            for place, cell in enumerate(cells):
                left = _MARGIN_MM + first + place * each
                self._put(_cut(cell, each - 1, bold=bold), left, _SMALL, top_mm=self.top_mm, bold=bold)
            self.top_mm += step
        if len(table.rows) > len(shown):
            self.text(f"{len(table.rows) - len(shown)} further lesions in the structured report", _SMALL)

    def table(self, table: Table, reserved_mm: float) -> None:
        """Subjects with their values below, in two columns where there are many; what finds no room is counted."""
        lines: list[tuple[str, str]] = []
        for row in table.rows:
            lines.append((row.subject, ""))
            lines += [(name, cell) for name, cell in zip(table.columns, row.cells, strict=True) if cell]
        if not lines:
            return
        self.top_mm += 2.0
        step = _SMALL * _SPACING * _POINT_MM
        room = max(4, int((_bottom_mm() - reserved_mm - self.top_mm) / step) - 1)
        columns = 1 if len(lines) <= room else _MOST_COLUMNS
        width = (_WIDTH_MM - 2 * _MARGIN_MM - (columns - 1) * _GAP_MM) / columns
        shown = lines[: columns * room]
        deep = -(-len(shown) // columns)
        for place, (name, cell) in enumerate(shown):
            left, top = _MARGIN_MM + place // deep * (width + _GAP_MM), self.top_mm + place % deep * step
            if not cell:
                self._put(_cut(name, width, bold=True), left, _SMALL, top_mm=top, bold=True)
                continue
            self._put(_cut(name, _NAME_PART * width - _INDENT_MM - 1), left + _INDENT_MM, _SMALL, top_mm=top)
            self._put(_cut(cell, (1 - _NAME_PART) * width), left + _NAME_PART * width, _SMALL, top_mm=top)
        self.top_mm += deep * step
        left_out = sum(1 for _, cell in lines[len(shown) :] if cell)
        if left_out:
            self.text(f"{left_out} further measurements in the structured report", _SMALL)

    def pictures(self, pictures: Sequence[Picture]) -> None:
        """Below each other or in two columns, whichever makes them larger."""
        if not pictures:
            return
        self.top_mm += 3.0
        height_px, width_px = pictures[0].body.shape[:2]
        scale, columns = max(
            (self._scale(len(pictures), columns, height_px, width_px), columns)
            for columns in range(1, _MOST_COLUMNS + 1)
        )
        if scale * height_px < _LEAST_PICTURE_MM:
            return
        wide, high = scale * width_px, scale * height_px
        for number, picture in enumerate(pictures):
            left = _MARGIN_MM + number % columns * (wide + _GAP_MM)
            top = self.top_mm + number // columns * (high + _GAP_MM)
            place = (left / _WIDTH_MM, 1 - (top + high) / _HEIGHT_MM, wide / _WIDTH_MM, high / _HEIGHT_MM)
            axes = self._figure.add_axes(place)
            axes.set_axis_off()
            axes.imshow(picture.body, interpolation="none", aspect="auto")

    def _scale(self, count: int, columns: int, height_px: int, width_px: int) -> float:
        """Millimetres per pixel of so many pictures in so many columns."""
        rows = -(-count // columns)
        width_mm = (_WIDTH_MM - 2 * _MARGIN_MM - (columns - 1) * _GAP_MM) / columns
        height_mm = (_bottom_mm() - self.top_mm - (rows - 1) * _GAP_MM) / rows
        return min(width_mm / width_px, height_mm / height_px)

    def pdf(self, title: str) -> bytes:
        """The finished page; text stays text, with its letters embedded as TrueType (PDF 32000, 9.6.3)."""
        out = BytesIO()
        # A date would make every file another one.
        told = {"Title": drawable(title), "Creator": MODEL_NAME, "Producer": None, "CreationDate": None}
        with matplotlib.rc_context({"pdf.fonttype": 42, "pdf.compression": 6}):
            self._figure.savefig(out, format="pdf", metadata=told)
        return out.getvalue()

    def _put(self, text: str, left_mm: float, points: float, *, top_mm: float, bold: bool = False) -> None:
        self._figure.text(
            left_mm / _WIDTH_MM,
            1 - top_mm / _HEIGHT_MM,
            text,
            fontproperties=FontProperties(fname=str(font_file(bold=bold)), size=points),
            va="top",
            # A dollar sign in a text is one, not the beginning of a formula.
            parse_math=False,
        )

    def _line(self, top_mm: float) -> None:
        height = 1 - top_mm / _HEIGHT_MM
        left, right = _MARGIN_MM / _WIDTH_MM, 1 - _MARGIN_MM / _WIDTH_MM
        axes = self._figure.add_axes((left, height, right - left, 0.0005))
        axes.set_axis_off()
        axes.axhline(0.5, color="black", linewidth=0.6)


def _bottom_mm() -> float:
    return _HEIGHT_MM - _MARGIN_MM


def _lines(text: str, width_mm: float, points: float, *, bold: bool, most: int) -> list[str]:
    face = font(round(points * _MEASURED), bold=bold)
    return wrapped(drawable(text, shapes=_SHAPES), width_mm / _POINT_MM * _MEASURED, face, most)


def _cut(text: str, width_mm: float, *, bold: bool = False) -> str:
    face = font(round(_SMALL * _MEASURED), bold=bold)
    return cut(drawable(text, shapes=_SHAPES), width_mm / _POINT_MM * _MEASURED, face)
