"""A study in the OHIF viewer, used and looked at as a reader does."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from tests.acceptance.waiting import eventually
from tests.viewer.chromium import Chromium

Colours = npt.NDArray[np.int16]

#: Every script begins with the one viewport; it is none while the application is still loading.
_VIEWPORT = "const viewport = window.cornerstone?.getRenderingEngines?.().flatMap(one => one.getViewports())[0];"

_SHOWN = _VIEWPORT + "return viewport?.getCurrentImageId?.()?.match(/instances[/]([0-9.]+)/)?.[1] ?? null;"

_JUMP = (
    _VIEWPORT
    + """
    const index = viewport.getImageIds().findIndex(one => one.includes(`/instances/${uid}/`));
    if (index < 0) return false;
    await window.cornerstone.utilities.jumpToSlice(viewport.element, {imageIndex: index});
    return true;
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

_POLYLINES = (
    _VIEWPORT
    + """
    const edge = viewport.element.getBoundingClientRect();
    return [...viewport.element.querySelectorAll('.svg-layer polyline')].map(line =>
        [...line.points].map(point => [point.x + edge.x, point.y + edge.y]));
    """
)

_NOTES = (
    _VIEWPORT
    + "const lines = viewport?.element.querySelectorAll('.svg-layer tspan') ?? [];"
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

    def go_to(self, sop_instance_uid: str) -> None:
        """Scroll to an image of the series."""
        assert self._run(_JUMP, uid=sop_instance_uid), f"image {sop_instance_uid} is not in the viewport"
        eventually(lambda: self.shown() == sop_instance_uid, what=f"image {sop_instance_uid} in the viewport")

    def colours(self, shape: tuple[int, int]) -> Colours:
        """What the page shows at the centres of the image's pixels.

        Returns
        -------
        Red, green and blue, shape (*shape, 3).
        """
        page = np.asarray(Image.open(io.BytesIO(self._browser.screenshot())).convert("RGB"), dtype=np.int16)
        rows, columns = np.indices(shape)
        x, y = np.einsum("ij,j...->i...", self._projection(), np.stack([columns, rows, np.ones(shape)]))
        found: Colours = page[np.floor(y).astype(int), np.floor(x).astype(int)]
        return found

    def outlined(self, shape: tuple[int, int]) -> list[npt.NDArray[np.bool_]]:
        """The pixels whose centres lie inside each drawn polyline, shape (row, column)."""
        matrix = self._projection()
        scale, offset = matrix[:, :2], matrix[:, 2]
        found = []
        for line in self._run(_POLYLINES):
            # Pillow draws what has its edge on whole numbers, so pixels are drawn large.
            large = 8
            points = (np.linalg.solve(scale, np.asarray(line).T - offset[:, None]).T + 0.5) * large
            canvas = Image.new("1", (shape[1] * large, shape[0] * large))
            ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in points], fill=1)
            found.append(np.asarray(canvas)[large // 2 :: large, large // 2 :: large])
        return found

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
