"""Results of the node in a viewer that nobody here wrote: OHIF, with Orthanc's DICOMweb behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from tests.acceptance.conftest import DcmSend, MakeNode
from tests.acceptance.orthanc import Orthanc
from tests.acceptance.phantom import SPACING_MM
from tests.acceptance.running import peer
from tests.acceptance.waiting import eventually
from tests.toy import network, write_bundle
from tests.viewer.application import Application
from tests.viewer.chromium import Chromium
from tests.viewer.ohif import Colours, Ohif
from tests.viewer.package import viewer
from tests.viewer.study import COLOURS_RGB, HU, labels, write_ct, write_model

pytestmark = pytest.mark.acceptance

#: Kinds of output, and the modality that each has in the archive.
OUTPUTS = {"seg": "SEG", "sr": "SR", "rtstruct": "RTSTRUCT"}

RULE = f"""
[[rule]]
name = "dense"
model = "toy"
outputs = {list(OUTPUTS)}
destinations = ["sender"]
[rule.series]
Modality = "CT"
"""

#: Slices with one of the bodies, with both, and with none.
FIRST_ONLY, BOTH, SECOND_ONLY, NONE = 3, 7, 10, 0

#: By how much a colour laid half transparent on grey stands out; grey itself does by nothing.
_LEAST_DIFFERENCE = 40

#: Grey between that of the surroundings and that of the bodies.
_BRIGHT = 160

#: The page gives places to a hundredth of its pixels, of which a millimetre has some.
_LEAST_MM = 0.05

#: Samples along a side of a pixel, more than the page has.
_DENSITY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The study in the viewer, and its slices from feet to head."""

    ohif: Ohif
    slices: tuple[str, ...]


Open = Callable[[Callable[[Path], object], set[str]], Opened]


@pytest.fixture
def open_results(make_node: MakeNode, dcmsend: DcmSend, node_port: int, tmp_path: Path) -> Iterator[Open]:
    """Sends the made CT to an archive and to a node with a bundle, and opens what comes back in OHIF."""
    dist = viewer()
    screenshots = Path(os.environ.get("DICOMNODE_SCREENSHOTS") or tmp_path / "screenshots")
    screenshots.mkdir(parents=True, exist_ok=True)
    with ExitStack() as running:

        def opening(write: Callable[[Path], object], modalities: set[str]) -> Opened:
            study, slices = write_ct(tmp_path / "ct")
            write(tmp_path / "bundles")
            orthanc = Orthanc(tmp_path / "orthanc", node_port, dicomweb=True)
            running.callback(orthanc.stop)
            orthanc.start()
            assert dcmsend(tmp_path / "ct", port=orthanc.port, called=orthanc.aet).returncode == 0
            node = make_node(
                port=node_port,
                models=tmp_path / "bundles",
                peers=[peer("PACS", orthanc.aet, orthanc.port, outputs=list(OUTPUTS))],
                rules=RULE,
            ).start()
            assert dcmsend(tmp_path / "ct", port=node.port).returncode == 0
            eventually(lambda: modalities <= set(orthanc.instances(study)), what="the results in Orthanc")
            node.wait_idle()
            node.stop()
            application = Application(dist, orthanc.dicomweb).start()
            running.callback(application.stop)
            browser = Chromium(tmp_path / "chromium").start()
            running.callback(browser.stop)
            ohif = Ohif(browser, application.address, screenshots)
            ohif.open(study)
            return Opened(ohif=ohif, slices=slices)

        yield opening


@pytest.fixture
def opened(open_results: Open) -> Opened:
    """The study with the results of a network that finds both bodies."""
    return open_results(write_model, set(OUTPUTS.values()))


def coloured(seen: Colours) -> npt.NDArray[np.uint8]:
    """Which of the segments' colours tinges each pixel, 0 for none; everything else of the image is grey."""
    found = np.zeros(seen.shape[:2], dtype=np.uint8)
    for number, colour in enumerate(COLOURS_RGB, start=1):
        strong = int(np.argmax(colour))
        others = np.delete(seen, strong, axis=-1).max(axis=-1)
        found[seen[..., strong] - others >= _LEAST_DIFFERENCE] = number
    return found


def assert_shown(opened: Opened, slice_index: int, right: Callable[[], bool], name: str) -> None:
    """The slice looks right in time; what it looks like is kept."""
    wanted = opened.slices[slice_index]
    try:
        eventually(lambda: opened.ohif.at(wanted) and right(), 30, f"{name} on slice {slice_index}")
    finally:
        opened.ohif.keep(f"{name}-slice-{slice_index}")


def assert_overlaid(opened: Opened, slice_index: int, name: str) -> None:
    """The slice shows each segment's colour inside the segment and nowhere else."""
    expected = labels()[slice_index]

    def right() -> bool:
        return np.array_equal(coloured(opened.ohif.colours(expected.shape)), expected)

    assert_shown(opened, slice_index, right, name)


def assert_outlined(opened: Opened, slice_index: int, name: str) -> None:
    """The slice shows a line of each segment's colour round the segment and nowhere else."""
    expected = labels()[slice_index]
    present = [number for number in (1, 2) if (expected == number).any()]

    def right() -> bool:
        lines = opened.ohif.outlined(expected.shape)
        return len(lines) == len(present) and all(
            any(line.colour_rgb == COLOURS_RGB[n - 1] and np.array_equal(line.inside, expected == n) for line in lines)
            for n in present
        )

    assert_shown(opened, slice_index, right, name)
    # The lines lie on the edges of pixels, so what is coloured is nearer to an edge than half a pixel.
    edges = {}
    for number in (1, 2):
        body = np.kron(expected == number, np.ones((_DENSITY, _DENSITY), dtype=bool))
        edge = ndimage.binary_dilation(body, iterations=_DENSITY // 2)
        edges[number] = edge & ~ndimage.binary_erosion(body, iterations=_DENSITY // 2)

    def only_there() -> bool:
        seen = coloured(opened.ohif.colours(expected.shape, _DENSITY))
        return all(
            (seen == number).any() == (number in present) and not ((seen == number) & ~edge).any()
            for number, edge in edges.items()
        )

    # The viewer draws anew for the denser picture.
    eventually(only_there, what="lines on the edges of pixels, and nowhere else")


def assert_measured(opened: Opened, number: int) -> None:
    """The slice in which a segment is largest shows its outline with its volume and mean, in units."""
    mask = labels() == number
    key = int(mask.sum(axis=(1, 2)).argmax())
    volume_ml = float(mask.sum() * np.prod(SPACING_MM) / 1000)
    wanted = {f"Volume: {volume_ml:.2f} cm3", f"Attenuation Coefficient: {HU[number]:.2f} [hnsf'U]"}

    def right() -> bool:
        lines = opened.ohif.outlined(mask[key].shape)
        return wanted <= set(opened.ohif.notes()) and any(np.array_equal(line.inside, mask[key]) for line in lines)

    assert_shown(opened, key, right, f"sr-segment-{number}")


def test_ohif_lays_the_segments_on_their_slices_and_lists_the_measurements_with_their_units(opened: Opened) -> None:
    ohif = opened.ohif
    assert {"AI SEG (research) Dense voxels 1.0.0", "AI SR (research) Dense voxels 1.0.0"} <= set(ohif.series())
    # The projection is the viewer's own; the bare image shows that it is right.
    bare = labels()[BOTH] > 0
    assert_shown(opened, BOTH, lambda: np.array_equal(ohif.colours(bare.shape).min(axis=-1) > _BRIGHT, bare), "image")

    ohif.show("AI SEG (research) Dense voxels 1.0.0")
    ohif.press("Yes")
    ohif.press_marked("panelSegmentation-btn")
    eventually(lambda: "Denser" in ohif.text(), what="the segments in the list")
    for slice_index in (BOTH, NONE, FIRST_ONLY, SECOND_ONLY):
        assert_overlaid(opened, slice_index, "seg")

    ohif.show("AI SR (research) Dense voxels 1.0.0")
    for number in (1, 2):
        assert_measured(opened, number)


def test_ohif_draws_the_contours_of_the_structure_set_on_their_slices(opened: Opened) -> None:
    ohif = opened.ohif
    assert "AI contours (research) Dense voxels 1.0.0" in ohif.series()
    ohif.show("AI contours (research) Dense voxels 1.0.0")
    ohif.press("Yes")
    for slice_index in (BOTH, NONE, FIRST_ONLY, SECOND_ONLY):
        assert_outlined(opened, slice_index, "rtstruct")


def test_ohif_draws_the_diameters_of_a_lesion_on_their_slice(open_results: Open) -> None:
    found = open_results(lambda folder: write_model(folder, "lesion"), {"SR"})
    found.ohif.show("AI SR (research) Dense voxels 1.0.0")
    _, row_mm, column_mm = SPACING_MM
    # The block grows towards the head, and its longest diameter goes from one side to the other of its last slice.
    pixels = np.argwhere(labels()[SECOND_ONLY] == 2)
    steps = np.array([(0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)])
    ends = np.unique((pixels[:, None] + steps).reshape(-1, 2), axis=0) * (row_mm, column_mm)
    longest_mm = float(max(np.linalg.norm(ends - one, axis=1).max() for one in ends))

    def right() -> bool:
        lengths = [float(np.linalg.norm((line[1] - line[0]) * (column_mm, row_mm))) for line in found.ohif.lines()]
        drawn = any(abs(length - longest_mm) < _LEAST_MM for length in lengths)
        return drawn and f"Long axis: {longest_mm:.2f} mm" in found.ohif.notes()

    assert_shown(found, SECOND_ONLY, right, "sr-diameters")


def test_ohif_shows_in_words_that_nothing_was_found(open_results: Open) -> None:
    found_nothing = open_results(lambda folder: write_bundle(folder, network(threshold_hu=3000)), {"SR"})
    ohif = found_nothing.ohif
    ohif.show("AI SR (research) Dense voxels 1.0.0")
    try:
        eventually(lambda: "No candidate found by Dense voxels 1.0.0; not a normal report." in ohif.text(), 30)
    finally:
        ohif.keep("sr-nothing-found")
    assert "Not detected" in ohif.text()
