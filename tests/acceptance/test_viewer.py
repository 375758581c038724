"""Results of the node in a viewer that nobody here wrote: OHIF, with Orthanc's DICOMweb behind it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.acceptance.conftest import DcmSend, MakeNode
from tests.acceptance.orthanc import Orthanc
from tests.acceptance.phantom import SPACING_MM
from tests.acceptance.running import peer
from tests.acceptance.waiting import eventually
from tests.viewer.application import Application
from tests.viewer.chromium import Chromium
from tests.viewer.ohif import Colours, Ohif
from tests.viewer.package import viewer
from tests.viewer.study import COLOURS_RGB, HU, labels, write_ct, write_model

pytestmark = pytest.mark.acceptance

RULE = """
[[rule]]
name = "dense"
model = "toy"
outputs = {outputs}
destinations = ["sender"]
[rule.series]
Modality = "CT"
"""

#: Slices with one of the bodies, with both, and with none.
FIRST_ONLY, BOTH, SECOND_ONLY, NONE = 3, 7, 10, 0

#: By how much a colour laid half transparent on grey stands out; grey itself does by nothing.
_LEAST_DIFFERENCE = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The study in the viewer, and its slices from feet to head."""

    ohif: Ohif
    slices: tuple[str, ...]


@pytest.fixture
def opened(
    make_node: MakeNode, dcmsend: DcmSend, node_port: int, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Opened]:
    """The made CT, sent to an archive and a node, with the node's results back in the archive and open in OHIF."""
    outputs: dict[str, str] = request.param
    dist = viewer()
    orthanc = Orthanc(tmp_path / "orthanc", node_port, dicomweb=True)
    browser = Chromium(tmp_path / "chromium")
    application = Application(dist, orthanc.dicomweb)
    screenshots = Path(os.environ.get("DICOMNODE_SCREENSHOTS") or tmp_path / "screenshots")
    screenshots.mkdir(parents=True, exist_ok=True)
    study, slices, _ = write_ct(tmp_path / "ct")
    write_model(tmp_path / "two")
    try:
        orthanc.start()
        assert dcmsend(tmp_path / "ct", port=orthanc.port, called=orthanc.aet).returncode == 0
        node = make_node(
            port=node_port,
            models=tmp_path / "two",
            peers=[peer("PACS", orthanc.aet, orthanc.port)],
            rules=RULE.format(outputs=list(outputs)),
        ).start()
        assert dcmsend(tmp_path / "ct", port=node.port).returncode == 0
        eventually(lambda: set(outputs.values()) <= set(orthanc.instances(study)), what="the results in Orthanc")
        node.wait_idle()
        node.stop()
        application.start()
        ohif = Ohif(browser.start(), application.address, screenshots)
        ohif.open(study)
        yield Opened(ohif=ohif, slices=slices)
    finally:
        browser.stop()
        application.stop()
        orthanc.stop()


def coloured(seen: Colours) -> npt.NDArray[np.uint8]:
    """Which of the segments' colours tinges each pixel, 0 for none; everything else of the image is grey."""
    found = np.zeros(seen.shape[:2], dtype=np.uint8)
    for number, colour in enumerate(COLOURS_RGB, start=1):
        strong = int(np.argmax(colour))
        others = np.delete(seen, strong, axis=-1).max(axis=-1)
        found[seen[..., strong] - others >= _LEAST_DIFFERENCE] = number
    return found


def assert_overlaid(opened: Opened, slice_index: int, name: str) -> None:
    """The slice shows each segment's colour inside the segment and nowhere else."""
    expected = labels()[slice_index]
    opened.ohif.go_to(opened.slices[slice_index])

    def wrong() -> int:
        return int((coloured(opened.ohif.colours(expected.shape)) != expected).sum())

    try:
        eventually(lambda: wrong() == 0, 20, f"overlay of slice {slice_index}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {wrong()} of {(expected > 0).sum()} pixels are wrong") from None
    finally:
        opened.ohif.keep(f"{name}-slice-{slice_index}")
    assert opened.ohif.shown() == opened.slices[slice_index]


def volume_ml(number: int) -> float:
    """What the voxels of a body amount to."""
    return float((labels() == number).sum() * np.prod(SPACING_MM) / 1000)


@pytest.mark.parametrize("opened", [{"seg": "SEG", "sr": "SR"}], indirect=True)
def test_ohif_lays_the_segments_on_their_slices_and_lists_the_measurements_with_their_units(opened: Opened) -> None:
    ohif = opened.ohif
    assert {"AI SEG Dense voxels 1.0.0", "AI SR Dense voxels 1.0.0"} <= set(ohif.series())
    # The projection is the viewer's own; the bare image shows that it is right.
    ohif.go_to(opened.slices[BOTH])
    bare = labels()[BOTH] > 0
    eventually(
        lambda: np.array_equal(ohif.colours(bare.shape)[..., 1] > 160, bare), 20, "the bright bodies in the image"
    )
    ohif.keep("image")

    ohif.show("AI SEG Dense voxels 1.0.0")
    ohif.press("Yes")
    ohif.press_marked("panelSegmentation-btn")
    eventually(lambda: "Denser" in ohif.text(), what="the segments in the list")
    for slice_index in (BOTH, NONE, FIRST_ONLY, SECOND_ONLY):
        assert_overlaid(opened, slice_index, "seg")

    ohif.show("AI SR Dense voxels 1.0.0")
    for number in (1, 2):
        mask = labels() == number
        key = int(mask.sum(axis=(1, 2)).argmax())
        if number == 1:
            eventually(lambda: ohif.notes(), 30, "measurements in the viewer")
        ohif.go_to(opened.slices[key])
        wanted = {f"Volume: {volume_ml(number):.2f} cm3", f"Attenuation Coefficient: {HU[number]:.2f} [hnsf'U]"}
        eventually(lambda wanted=wanted: wanted <= set(ohif.notes()), 20, f"{wanted} in the viewer")
        ohif.keep(f"sr-segment-{number}")
        assert any(np.array_equal(inside, mask[key]) for inside in ohif.outlined(mask[key].shape))
