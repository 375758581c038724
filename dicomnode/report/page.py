"""The pictures of an analysis: a table of what was found, then one page for every finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicomnode.domain.finding import Check, Findings, Provenance
from dicomnode.domain.model import Severity
from dicomnode.report.answers import remark_texts
from dicomnode.report.banner import banner
from dicomnode.report.canvas import AMBER, BODY, BOTTOM, RED, SIDE, WIDTH, Canvas
from dicomnode.report.focus import Focus, around, foci_of, middle
from dicomnode.report.panel import GREY, WHITE, Frame, Place, draw_view
from dicomnode.report.provenance import DISCLAIMER
from dicomnode.report.table import answers, lines_about, table_of
from dicomnode.report.view import across, along_slices
from dicomnode.report.window import window_for

#: Findings beyond these are in the table alone: nobody pages through hundreds of pictures.
MOST_FINDINGS = 12

#: Pixels: the slice itself, the planes beside it, and the room between pictures.
_SLICE = 600
_BETWEEN = 8
_COLUMN = WIDTH - _SLICE - _BETWEEN

#: Key slices below the table, where there is room for them.
_MOST_BELOW = 3
_LEAST_BELOW = 220

#: A finding that takes less than this part of the slice, either way, is shown enlarged, too.
_SMALL = 1 / 3
_MARGIN_MM = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture for people.

    Attributes
    ----------
    image
        RGB, shape (row, column, 3).
    places
        Where the voxels of its views lie.
    """

    title: str
    image: NDArray[np.uint8] = field(repr=False)
    places: tuple[Place, ...] = ()

    @property
    def body(self) -> NDArray[np.uint8]:
        """Without what stands above and below."""
        return self.image[BODY:BOTTOM]


def pictures_of(findings: Findings, provenance: Provenance) -> tuple[Picture, ...]:
    """A page with the table, answers and warnings, then a page per finding, or one of the middle of the series."""
    foci = foci_of(findings)
    found_nothing = not foci and not findings.classifications and not findings.measurements
    remarks = [text for text in remark_texts(findings, provenance, empty=found_nothing) if text != DISCLAIMER]
    shown = foci[:MOST_FINDINGS]
    if len(foci) > len(shown):
        remarks.append(f"{len(foci)} findings; pictures of the first {len(shown)}.")
    warnings = [text for text in remarks if text.startswith("Warning: ")]
    pages = [
        _table_page(findings, provenance, remarks),
        *(_focus_page(findings, one) for one in shown or [middle(findings)]),
    ]
    head = banner(findings.source.datasets, provenance)
    for number, (_, canvas, _places) in enumerate(pages, start=1):
        canvas.frame(head, warnings, f"{number}/{len(pages)}")
    return tuple(Picture(title=title, image=canvas.array(), places=places) for title, canvas, places in pages)


def refusal_picture(
    datasets: Sequence[Dataset], reason: str, provenance: Provenance, checks: Sequence[Check] = (), heading: str = ""
) -> Picture:
    """One page that says why there is no result, with what was checked, failures first."""
    canvas = Canvas()
    heading = heading or "NOT ANALYSED"
    canvas.line(heading, size=44, bold=True, fill=AMBER)
    canvas.paragraph(reason, size=26, most=8)
    canvas.gap()
    canvas.paragraph(f"{provenance.model.title}: nothing is said about the images.", size=20, fill=GREY)
    canvas.gap()
    ordered = sorted(checks, key=lambda check: (check.passed, check.severity is not Severity.BLOCK))
    if ordered:
        rows = [(_verdict(check), check.rule.replace("_", " "), check.found, check.limit) for check in ordered]
        colours = [GREY if check.passed else RED if check.severity is Severity.BLOCK else AMBER for check in ordered]
        canvas.grid(("", "Check", "Found", "Needed"), rows, colours, parts=(0.14, 0.26, 0.3, 0.3))
    canvas.frame(banner(datasets, provenance), [], "1/1")
    return Picture(title=heading, image=canvas.array())


def _verdict(check: Check) -> str:
    if check.passed:
        return "passed"
    return "FAILED" if check.severity is Severity.BLOCK else "warning"


def _table_page(
    findings: Findings, provenance: Provenance, remarks: Sequence[str]
) -> tuple[str, Canvas, tuple[Place, ...]]:
    canvas = Canvas()
    title = provenance.model.title
    canvas.paragraph(title, size=26, bold=True, most=2)
    for text in remarks:
        canvas.paragraph(text, size=20, fill=AMBER if text.startswith("Warning: ") else WHITE, most=4)
    canvas.gap()
    for text in answers(findings):
        canvas.paragraph(text, size=20, most=3)
    table = table_of(findings)
    if table.rows:
        rows = [(row.subject, *row.cells) for row in table.rows]
        swatches = [row.color_rgb for row in table.rows]
        canvas.grid(("", *table.columns), rows, [WHITE] * len(rows), swatches=swatches)
    return title, canvas, ()


def _focus_page(findings: Findings, focus: Focus) -> tuple[str, Canvas, tuple[Place, ...]]:
    canvas = Canvas()
    title_colour = focus.segment.color_rgb if focus.segment else None
    canvas.line(focus.title, size=26, bold=True, swatch=title_colour)
    volume = findings.source.volume
    margin = tuple(int(np.ceil(_MARGIN_MM / spacing)) for spacing in volume.spacing)
    near = around(focus, volume.array.shape, (margin[0], margin[1], margin[2]))
    window = window_for(findings.source, focus.segment, near if focus.segment else None)
    slice_view = along_slices(volume, focus.centre[0])
    caption = f"{slice_view.plane}, {_image_of(findings, focus.centre[0])}"
    top = canvas.y
    places = [
        draw_view(
            canvas.picture,
            Frame(left=0, top=top, width=_SLICE, height=_SLICE),
            slice_view,
            findings,
            window,
            caption=caption,
            focus=focus,
        )
    ]
    small = focus.segment is not None and all(
        (near[axis].stop - near[axis].start) < _SMALL * volume.array.shape[axis] for axis in (1, 2)
    )
    count = 3 if small else 2
    height = (BOTTOM - top) // count
    frames = [
        Frame(left=_SLICE + _BETWEEN, top=top + place * height, width=_COLUMN, height=height - _BETWEEN)
        for place in range(count)
    ]
    for frame, axis in zip(frames, (1, 2), strict=False):
        view = across(volume, axis, focus.centre[axis])
        places.append(draw_view(canvas.picture, frame, view, findings, window, caption=view.plane, focus=focus))
    if small:
        crop = (near[1].start, near[2].start, near[1].stop, near[2].stop)
        places.append(
            draw_view(
                canvas.picture,
                frames[2],
                slice_view,
                findings,
                window,
                caption=f"{slice_view.plane}, enlarged",
                focus=focus,
                crop=crop,
            )
        )
    canvas.y = top + _SLICE + SIDE
    if focus.segment and not focus.detection:
        for text in lines_about(findings, focus.segment):
            canvas.line(text, size=20, width=_SLICE - 2 * SIDE)
    elif focus.detection:
        canvas.line(answers(findings)[focus.detection.number - 1], size=20, width=_SLICE - 2 * SIDE)
    return focus.title, canvas, tuple(places)


def _image_of(findings: Findings, index: int) -> str:
    """Which image of the series a slice is, by the numbers that viewers show."""
    plane = findings.source.planes[index]
    count = len(findings.source.planes)
    if plane.frame_number is not None:
        return f"frame {plane.frame_number} ({index + 1} of {count})"
    number = plane.dataset.get("InstanceNumber")
    return f"image {number} ({index + 1} of {count})" if number else f"slice {index + 1} of {count}"
