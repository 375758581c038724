"""A study in the OHIF viewer, used and looked at as a reader does."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from tests.acceptance.waiting import eventually
from tests.viewer.chromium import Chromium

Colours = npt.NDArray[np.int16]

_LARGE = 8

#: Every script begins with the one viewport; it is none while the application is still loading.
_VIEWPORT = "const viewport = window.cornerstone?.getRenderingEngines?.().flatMap(one => one.getViewports())[0];"

_SHOWN = _VIEWPORT + "return viewport?.getCurrentImageId?.()?.match(/instances[/]([0-9.]+)/)?.[1] ?? null;"

_JUMP = (
    _VIEWPORT
    + """
    const index = viewport?.getImageIds().findIndex(one => one.includes(`/instances/${uid}/`)) ?? -1;
    if (index >= 0) await window.cornerstone.utilities.jumpToSlice(viewport.element, {imageIndex: index});
    """
)

#: Where the centre of a pixel lies on the page, given as matrix from (column, row, 1).
_PROJECTION = (
    _VIEWPORT
    + """
    const {imagePositionPatient: origin, rowCosines, columnCosines, columnPixelSpacing, rowPixelSpacing} =
        window.cornerstone.metaData.get('imagePlaneModule', viewport.getCurrentImageId());
    const at = (column, row) => viewport.worldToCanvas(origin.map((zero, axis) =>
        zero + column * columnPixelSpacing * rowCosines[axis] + row * rowPixelSpacing * columnCosines[axis]));
    const edge = viewport.element.getBoundingClientRect();
    const [first, right, down] = [at(0, 0), at(1, 0), at(0, 1)];
    return [0, 1].map(axis => [right[axis] - first[axis], down[axis] - first[axis],
                               first[axis] + [edge.x, edge.y][axis]]);
    """
)

#: Colour and corners of all outlines drawn over the image, in pixels of the page.
_OUTLINES = (
    _VIEWPORT
    + """
    const edge = viewport.element.getBoundingClientRect();
    const paths = [...viewport.element.querySelectorAll('.svg-layer polyline, .svg-layer path')].flatMap(drawn =>
        (drawn.getAttribute('points') ?? drawn.getAttribute('d')).split('M').map(part => ({drawn, part})));
    return paths.map(({drawn, part}) => ({
        colour: drawn.getAttribute('stroke').match(/[0-9]+/g).slice(0, 3).map(Number),
        corners: [...part.matchAll(/([0-9.-]+)[, ]+([0-9.-]+)/g)].map(one => [+one[1] + edge.x, +one[2] + edge.y]),
    })).filter(one => one.corners.length > 2);
    """
)

#: Both ends of all straight lines drawn over the image, in pixels of the page.
_LINES = (
    _VIEWPORT
    + """
    const edge = viewport.element.getBoundingClientRect();
    return [...viewport.element.querySelectorAll('.svg-layer line')].map(drawn =>
        [['x1', 'y1'], ['x2', 'y2']].map(([x, y]) =>
            [+drawn.getAttribute(x) + edge.x, +drawn.getAttribute(y) + edge.y]));
    """
)

_NOTES = (
    _VIEWPORT + "const lines = viewport?.element.querySelectorAll('.svg-layer tspan') ?? [];"
    "return [...lines].map(line => line.textContent.trim());"
)

#: The middle of the first element that a selector finds and whose text contains words.
_MIDDLE = """
    const found = [...document.querySelectorAll(selector)].find(one => one.innerText.includes(words));
    if (!found) return null;
    const edge = found.getBoundingClientRect();
    return [edge.x + edge.width / 2, edge.y + edge.height / 2];
"""

_TEXTS = "return [...document.querySelectorAll(selector)].map(one => one.innerText);"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A closed line over the image: its colour, and which pixels have their centre inside it, shape (row, column)."""

    colour_rgb: tuple[int, ...]
    inside: npt.NDArray[np.bool_]


class Ohif:
    """One study in the viewer.

    Parameters
    ----------
    address
        Of the application.
    screenshots
        Folder for what `keep` saves.
    """

    def __init__(self, browser: Chromium, address: str, screenshots: Path) -> None:
        self._browser, self._address, self._screenshots = browser, address, screenshots

    def open(self, study: str) -> None:
        """Open a study and wait for its first image."""
        self._browser.open(f"{self._address}/viewer?StudyInstanceUIDs={study}")
        eventually(self.shown, what="an image in the viewer")

    def series(self) -> list[str]:
        """Descriptions in the list of series."""
        return self._texts("[data-cy=series-description-label]")

    def show(self, series: str) -> None:
        """Open a series by its description."""
        self._browser.double_click(*self._middle("[data-cy=series-description-label]", series))

    def press(self, words: str) -> None:
        """Press a button by its words as soon as it is there."""
        self._browser.click(*self._middle("button", words))

    def press_marked(self, mark: str) -> None:
        """Press what the application marks for its own tests."""
        self._browser.click(*self._middle(f"[data-cy={mark}]", ""))

    def text(self) -> str:
        """Everything written on the page."""
        return "\n".join(self._texts("body"))

    def notes(self) -> list[str]:
        """Lines of text drawn beside outlines."""
        return list(self._run(_NOTES))

    def shown(self) -> str | None:
        """SOP Instance UID of the image in the viewport; None while there is none."""
        found: str | None = self._run(_SHOWN)
        return found

    def at(self, sop_instance_uid: str) -> bool:
        """Whether an image of the series is shown; scrolls to it if not, also where the viewer has gone back."""
        if self.shown() == sop_instance_uid:
            return True
        self._run(_JUMP, uid=sop_instance_uid)
        return False

    def colours(self, shape: tuple[int, int], density: int = 1) -> Colours:
        """What the page shows of the image.

        Parameters
        ----------
        shape
            Rows and columns of the image.
        density
            Samples along each side of a pixel; a single one is taken at its centre.

        Returns
        -------
        Red, green and blue, shape (rows × density, columns × density, 3).
        """
        page = np.asarray(Image.open(io.BytesIO(self._browser.screenshot())).convert("RGB"), dtype=np.int16)
        rows, columns = (np.indices([length * density for length in shape]) + 0.5) / density - 0.5
        x, y = np.einsum("ij,j...->i...", self._projection(), np.stack([columns, rows, np.ones_like(rows)]))
        # What lies beyond the viewport is not shown.
        y, x = (
            np.clip(np.floor(one).astype(int), 0, length - 1) for one, length in zip((y, x), page.shape, strict=False)
        )
        found: Colours = page[y, x]
        return found

    def outlined(self, shape: tuple[int, int]) -> list[Outline]:
        """The outlines drawn over the image."""
        matrix = self._projection()
        scale, offset = matrix[:, :2], matrix[:, 2]
        found = []
        for drawn in self._run(_OUTLINES):
            corners = np.linalg.solve(scale, np.asarray(drawn["corners"]).T - offset[:, None]).T
            # Pillow fills from whole number to whole number, so pixels are drawn large.
            canvas = Image.new("1", (shape[1] * _LARGE, shape[0] * _LARGE))
            ImageDraw.Draw(canvas).polygon([((x + 0.5) * _LARGE, (y + 0.5) * _LARGE) for x, y in corners], fill=1)
            inside = np.asarray(canvas)[_LARGE // 2 :: _LARGE, _LARGE // 2 :: _LARGE]
            found.append(Outline(colour_rgb=tuple(drawn["colour"]), inside=inside))
        return found

    def lines(self) -> list[npt.NDArray[np.float64]]:
        """The ends of the straight lines drawn over the image, shape (2, 2): (column, row), pixel centres whole."""
        matrix = self._projection()
        inverse = np.linalg.inv(matrix[:, :2]).astype(np.float64)
        return [(np.asarray(ends, dtype=np.float64) - matrix[:, 2]) @ inverse.T for ends in self._run(_LINES)]

    def keep(self, name: str) -> None:
        """Save what the page shows."""
        (self._screenshots / f"{name}.png").write_bytes(self._browser.screenshot())

    def _projection(self) -> npt.NDArray[np.float64]:
        return np.asarray(self._run(_PROJECTION), dtype=np.float64)

    def _middle(self, selector: str, words: str) -> tuple[float, float]:
        found = eventually(
            lambda: self._run(_MIDDLE, selector=selector, words=words), what=f"{words or selector!r} in the viewer"
        )
        return float(found[0]), float(found[1])

    def _texts(self, selector: str) -> list[str]:
        return list(self._run(_TEXTS, selector=selector))

    def _run(self, body: str, **arguments: object) -> Any:
        return self._browser.evaluate(f"async ({', '.join(arguments)}) => {{ {body} }}", *arguments.values())
