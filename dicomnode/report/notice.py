"""The page that says in letters nobody overlooks why there is no result, or that one does not stand any more."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset

from dicomnode.domain.finding import Check, Provenance
from dicomnode.domain.model import Severity
from dicomnode.report.answers import arrived
from dicomnode.report.banner import banner
from dicomnode.report.canvas import AMBER, RED, Canvas
from dicomnode.report.heading import WITHDRAWN, Heading
from dicomnode.report.picture import Picture
from dicomnode.report.place import GREY


def notice(
    heading: Heading, datasets: Sequence[Dataset], reason: str, provenance: Provenance, checks: Sequence[Check] = ()
) -> Picture:
    """One page with the reason and what was checked, failures first.

    Parameters
    ----------
    datasets
        Headers of one study, at least one.
    """
    canvas = Canvas()
    model = provenance.model
    canvas.line(heading.title, size=44, bold=True, fill=RED if heading == WITHDRAWN else AMBER)
    canvas.paragraph(reason, size=26, most=8)
    canvas.gap()
    canvas.paragraph(f"{model.title} {model.version}: {heading.says}", size=20, fill=GREY)
    for text in arrived(provenance):
        canvas.paragraph(text, size=20, fill=GREY, most=4)
    canvas.gap()
    ordered = sorted(checks, key=lambda check: (check.passed, check.severity is not Severity.BLOCK))
    if ordered:
        rows = [(_verdict(check), check.rule.replace("_", " "), check.found, check.limit) for check in ordered]
        fills = [GREY if check.passed else RED if check.severity is Severity.BLOCK else AMBER for check in ordered]
        canvas.grid(("", "Check", "Found", "Needed"), rows, fills=fills, parts=(0.14, 0.26, 0.3, 0.3))
    canvas.frame(banner(datasets, provenance), [], "")
    return Picture(title=heading.title, image=canvas.array())


def _verdict(check: Check) -> str:
    if check.passed:
        return "passed"
    return "FAILED" if check.severity is Severity.BLOCK else "warning"
