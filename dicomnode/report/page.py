"""The pictures of an analysis: a table of what was found, then one page for every finding."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.model import Task
from dicomnode.report.answers import remark_texts
from dicomnode.report.banner import banner
from dicomnode.report.canvas import AMBER, BOTTOM, SIDE, WIDTH, Canvas
from dicomnode.report.compared import CANDIDATE, LIMIT, NOT_COMPARABLE, VERDICT, lines_of
from dicomnode.report.focus import Focus, foci_of, middle
from dicomnode.report.lesion_table import lesion_table
from dicomnode.report.panel import Frame, draw_view
from dicomnode.report.picture import Picture
from dicomnode.report.place import GREY, WHITE, Place
from dicomnode.report.planes import caption_of, draw_planes, window_of
from dicomnode.report.provenance import disclaimer
from dicomnode.report.table import Table, answers, lines_about, table_of
from dicomnode.report.view import along_slices

#: Findings beyond these are in the table alone: nobody pages through hundreds of pictures.
MOST_FINDINGS = 12

#: Columns of values that find room beside each other.
_MOST_COLUMNS = 5

#: Key slices below the table, where so many pixels are left for them.
_MOST_BELOW = 3
_LEAST_BELOW = 200
_BETWEEN = 8

#: Height of the letters below a finding.
_LINE = 20

_LOCATING = frozenset({Task.SEGMENT, Task.DETECT})

#: A page with its title and the places of its views.
_Page = tuple[str, Canvas, tuple[Place, ...]]


def pictures_of(findings: Findings, provenance: Provenance) -> tuple[Picture, ...]:
    """A page with the table, answers and warnings, then a page per finding, or one of the middle of the series.

    Raises
    ------
    EncodingError
        If the fonts are missing.
    """
    foci = foci_of(findings)
    remarks = remarks_on(findings, provenance, foci)
    shown = foci[:MOST_FINDINGS]
    if len(foci) > len(shown):
        remarks.append(f"{len(foci)} findings; pictures of the first {len(shown)}.")
    pages = [
        _table_page(findings, provenance, remarks, shown),
        *(_finding_page(findings, focus) for focus in shown or [middle(findings)]),
    ]
    head = banner(findings.source.datasets, provenance)
    warnings = [text for text in remarks if is_warning(text)]
    for number, (_, canvas, _places) in enumerate(pages, start=1):
        canvas.frame(head, warnings, f"{number}/{len(pages)}")
    return tuple(Picture(title=title, image=canvas.array(), places=places) for title, canvas, places in pages)


def remarks_on(findings: Findings, provenance: Provenance, foci: Sequence[Focus]) -> list[str]:
    """What the reader has to know beside the numbers, as in the structured report.

    The disclaimer stands elsewhere, and what concerns radiomics alone is with its numbers, which pages do not list.
    """
    if provenance.model.task in _LOCATING:
        empty = not foci
    else:
        empty = not findings.classifications and not findings.measurements
    left_out = (disclaimer(provenance), "Warning: radiomics")
    return [text for text in remark_texts(findings, provenance, empty=empty) if not text.startswith(left_out)]


def is_warning(remark: str) -> bool:
    """Whether a remark is a reservation about the result."""
    return remark.startswith("Warning: ")


def _table_page(findings: Findings, provenance: Provenance, remarks: Sequence[str], foci: Sequence[Focus]) -> _Page:
    canvas = Canvas()
    title = provenance.model.title
    canvas.paragraph(title, size=26, bold=True, most=2)
    for text in remarks:
        canvas.paragraph(text, size=20, fill=AMBER if is_warning(text) else WHITE, most=4)
    canvas.gap()
    for text in answers(findings):
        canvas.paragraph(text, size=20, most=3)
    for text in lines_of(findings.comparison):
        fill = AMBER if text.startswith((NOT_COMPARABLE, CANDIDATE, LIMIT)) else WHITE
        canvas.paragraph(text, size=20, bold=text.startswith(VERDICT), fill=fill, most=3)
    _draw_rows(canvas, lesion_table(findings))
    _draw_table(canvas, table_of(findings))
    return title, canvas, _key_slices(canvas, findings, foci)


def _draw_rows(canvas: Canvas, table: Table) -> None:
    """A row per lesion."""
    if table.rows:
        canvas.gap()
        rows = [(row.subject, *row.cells) for row in table.rows]
        canvas.grid(("", *table.columns), rows, swatches=[row.color_rgb for row in table.rows])
        canvas.gap()


def _draw_table(canvas: Canvas, table: Table) -> None:
    """A column per subject where these are few, so that long names of quantities have room; else a row per subject."""
    if not table.rows:
        return
    if len(table.rows) <= _MOST_COLUMNS:
        heads = ("", *(row.subject for row in table.rows))
        rows = [(name, *(row.cells[place] for row in table.rows)) for place, name in enumerate(table.columns)]
        canvas.grid(heads, rows, head_swatches=(None, *(row.color_rgb for row in table.rows)))
        return
    shown = table.columns[:_MOST_COLUMNS]
    rows = [(row.subject, *row.cells[: len(shown)]) for row in table.rows]
    canvas.grid(("", *shown), rows, swatches=[row.color_rgb for row in table.rows])
    left_out = table.columns[_MOST_COLUMNS:]
    if left_out:
        canvas.paragraph(f"In the structured report also: {'; '.join(left_out)}", size=18, fill=GREY, most=2)


def _key_slices(canvas: Canvas, findings: Findings, foci: Sequence[Focus]) -> tuple[Place, ...]:
    """The slices of the first findings, each once."""
    by_slice: dict[int, list[Focus]] = {}
    for focus in foci:
        by_slice.setdefault(focus.centre[0], []).append(focus)
    chosen = list(by_slice.values())[:_MOST_BELOW]
    top = canvas.y + 2 * _BETWEEN
    if not chosen or BOTTOM - top < _LEAST_BELOW:
        return ()
    width = (WIDTH - (len(chosen) - 1) * _BETWEEN) // len(chosen)
    places = []
    for number, together in enumerate(chosen):
        focus = together[0]
        frame = Frame(left=number * (width + _BETWEEN), top=top, width=width, height=BOTTOM - top)
        view = along_slices(findings.source.volume, focus.centre[0])
        caption = ", ".join(one.title for one in together)
        window = window_of(findings, focus)
        places.append(draw_view(canvas.picture, frame, view, findings, window, caption=caption, focus=focus))
    return tuple(places)


def _finding_page(findings: Findings, focus: Focus) -> _Page:
    canvas = Canvas()
    canvas.line(focus.title, size=26, bold=True, swatch=focus.segment.color_rgb if focus.segment else None)
    places, slice_frame = draw_planes(canvas.picture, canvas.y, BOTTOM, findings, focus, caption_of(findings, focus))
    canvas.y = slice_frame.top + slice_frame.height + SIDE
    if focus.detection:
        lines = answers(findings)[focus.detection.number - 1 : focus.detection.number]
    else:
        lines = lines_about(findings, focus.segment) if focus.segment else answers(findings)
    room = max(1, (BOTTOM - canvas.y) // canvas.step(_LINE))
    if len(lines) > room:
        lines = [*lines[: room - 1], f"{len(lines) - room + 1} more in the structured report"]
    for text in lines:
        canvas.line(text, size=_LINE, width=slice_frame.width - 2 * SIDE)
    return focus.title, canvas, places
