"""An asymmetric marker goes in however images can lie and be sent, and comes back where it was in the patient."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from pydicom import Dataset
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from tests.acceptance.peers import REFUSAL, SEG, CountingPacs
from tests.acceptance.reading import words
from tests.acceptance.running import Node, peer
from tests.series import bundles, classic, enhanced
from tests.series.header import Place
from tests.series.marker import MARKER, SPACING_MM, macro, points_of, sampled, upright_marker
from tests.series.scan import Floats, Scan, orientations, tilted_grid, turned_grid
from tests.series.sending import send

pytestmark = pytest.mark.acceptance

TILT_DEGREES = 12.0

#: What the node promises: nothing moves but by the rounding of decimal strings, 16 characters long.
EXACT_MM = 0.01

BODY = """
[input.image]
Modality = { any_of = ["CT", "MR"] }
SPATIAL
[[prepare]]
step = "scale"
range = [0.0, 1000.0]
[tile]
shape = [8, 16, 16]
overlap = 0.25
batch = 1
[output]
activation = "softmax"
"""
RESAMPLE = """
[[prepare]]
step = "resample"
spacing_mm = [{}]
outside = 0.0
"""
#: Steps of each bundle: onto the lattice's own grid along the patient's axes (z, y, x), onto a finer one for what lies
#: oblique in it, and none, so that the network sees the images' own grid.
GRIDS = {"lattice": RESAMPLE.format("3.0, 2.5, 2.0"), "fine": RESAMPLE.format("1.0, 1.0, 1.0"), "native": ""}
RULE = """
[[rule]]
name = "{0}"
model = "{0}"
outputs = ["seg"]
destinations = ["sender"]
[rule.series]
SeriesDescription = "{0}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One study as it was sent: where its marker is, and how exactly it has to come back."""

    datasets: list[Dataset] = field(repr=False)
    points_mm: Floats = field(repr=False)
    scan: Scan = field(repr=False)
    tolerance_mm: float
    study: str


def _shuffled(scan: Scan, place: Place, seed: int) -> list[Dataset]:
    return classic.shuffled(classic.ct(scan, place) if seed % 2 else classic.mr(scan, place), seed)


def _reversed(scan: Scan, place: Place, seed: int) -> list[Dataset]:
    return (classic.ct if seed % 2 else classic.mr)(scan.reversed(), place)


def _tilted(scan: Scan, place: Place, seed: int) -> list[Dataset]:
    return classic.ct(scan, place)


def _enhanced(scan: Scan, place: Place, seed: int) -> list[Dataset]:
    match seed % 3:
        case 0:
            return [enhanced.enhanced_ct(scan, place, seed=seed)]
        case 1:
            return [enhanced.enhanced_mr(scan.reversed(), place, seed=seed)]
        case _:
            return [enhanced.legacy_ct(scan, place)]


WAYS: Mapping[str, Callable[[Scan, Place, int], list[Dataset]]] = {
    "shuffled": _shuffled,
    "reversed": _reversed,
    "tilted": _tilted,
    "enhanced": _enhanced,
}
UPRIGHT = dict(orientations(upright_marker()))
OBLIQUE = {"turned a little": (7.0, -11.0, 16.0), "turned half way": (40.0, 25.0, -35.0), "upside down": (170, 8, -20)}
NAMES = [f"{orientation} {way}" for orientation in UPRIGHT for way in WAYS] + [
    f"{name} {way}" for name in OBLIQUE for way in ("shuffled", "enhanced")
]


def studies() -> dict[str, Sent]:
    """Every study of the test."""
    made = {}
    for seed, (orientation, scan) in enumerate(UPRIGHT.items()):
        for way, write in WAYS.items():
            shown = sampled(tilted_grid(scan, TILT_DEGREES), scan.values.shape) if way == "tilted" else scan
            model = "native" if way == "tilted" else "lattice"
            tolerance = min(shown.pixel_spacing_mm) / 2 if way == "tilted" else EXACT_MM
            made[f"{orientation} {way}"] = _sent(write, shown, f"{orientation} {way}", seed, model, tolerance)
    for seed, (name, angles) in enumerate(OBLIQUE.items()):
        grid = turned_grid(UPRIGHT["HPL"], Rotation.from_euler("xyz", angles, degrees=True).as_matrix())
        shown = sampled(grid, UPRIGHT["HPL"].values.shape)
        for way in ("shuffled", "enhanced"):
            made[f"{name} {way}"] = _sent(WAYS[way], shown, f"{name} {way}", seed, "fine", min(SPACING_MM) / 2)
    return made


def _sent(
    write: Callable[[Scan, Place, int], list[Dataset]], scan: Scan, name: str, seed: int, model: str, tolerance: float
) -> Sent:
    place = Place(study=name, description=model)
    points = scan.centres_mm()[scan.values == MARKER]
    return Sent(
        datasets=write(scan, place, seed),
        points_mm=points,
        scan=scan,
        tolerance_mm=tolerance,
        study=place.study_instance_uid,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """All that came back, by study."""

    sent: dict[str, Sent]
    segmentations: dict[str, list[Dataset]]
    refusals: dict[str, list[str]]
    log: str


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Returned]:
    """One node is sent all studies; what it returned once it had nothing left to do."""
    folder = tmp_path_factory.mktemp("markers")
    models = folder / "models"
    for name, steps in GRIDS.items():
        bundles.write(models, name, BODY.replace("SPATIAL", steps) + bundles.DENSE, bundles.threshold(0.4))
    pacs = CountingPacs()
    pacs.start()
    rules = "".join(RULE.format(name) for name in GRIDS)
    node = Node(folder / "node", models=models, peers=[peer("PACS", pacs.aet, pacs.port)], rules=rules)
    sent = studies()
    try:
        started = time.monotonic()
        node.start()
        for study in sent.values():
            assert send(study.datasets, node.port) == {0}
        node.wait_idle(300)
        print(f"{len(sent)} studies in {time.monotonic() - started:.0f} s")  # noqa: T201 - a figure for the log
    finally:
        node.kill()
        pacs.stop()
    assert node.leaks() == []
    segmentations: dict[str, list[Dataset]] = {}
    for ds in pacs.of_class(SEG):
        segmentations.setdefault(str(ds.StudyInstanceUID), []).append(ds)
    refusals: dict[str, list[str]] = {}
    for ds in pacs.of_class(REFUSAL):
        refusals.setdefault(str(ds.StudyInstanceUID), []).append(words(ds))
    yield Returned(sent=sent, segmentations=segmentations, refusals=refusals, log=node.text())


@pytest.mark.parametrize("name", NAMES)
def test_the_marker_comes_back_where_it_was(returned: Returned, name: str) -> None:
    sent = returned.sent[name]
    assert returned.refusals.get(sent.study, []) == []
    (segmentation,) = returned.segmentations.get(sent.study, [])

    points = points_of(segmentation)

    assert points.mean(axis=0) == pytest.approx(sent.points_mm.mean(axis=0), abs=sent.tolerance_mm)
    assert _extremes(points, sent.scan) == pytest.approx(_extremes(sent.points_mm, sent.scan), abs=sent.tolerance_mm)
    if sent.tolerance_mm == EXACT_MM:
        assert len(points) == len(sent.points_mm)
        assert np.max(cKDTree(points).query(sent.points_mm)[0]) < EXACT_MM


def _extremes(points_mm: Floats, scan: Scan) -> Floats:
    """First and last place along the images' own axes, in mm: a voxel more or less moves it by a whole voxel."""
    along, down = np.array(scan.cosines[:3]), np.array(scan.cosines[3:])
    places = points_mm @ np.array([along, down, np.cross(along, down)]).T
    return np.concatenate([places.min(axis=0), places.max(axis=0)])


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_of_the_segmentation_refers_to_the_image_in_its_plane(returned: Returned, name: str) -> None:
    sent = returned.sent[name]
    (segmentation,) = returned.segmentations.get(sent.study, [])
    places = _places(sent.datasets)
    shared = segmentation.SharedFunctionalGroupsSequence[0]

    for own in segmentation.PerFrameFunctionalGroupsSequence:
        (source,) = macro(own, shared, "DerivationImageSequence").SourceImageSequence
        frame = int(source.get("ReferencedFrameNumber", 1))
        there = places[str(source.ReferencedSOPInstanceUID), frame]
        here = np.array(macro(own, shared, "PlanePositionSequence").ImagePositionPatient, dtype=float)
        assert here == pytest.approx(there, abs=EXACT_MM)


def _places(datasets: list[Dataset]) -> dict[tuple[str, int], Floats]:
    """Image Position (Patient) by SOP Instance UID and number of the frame."""
    found = {}
    for ds in datasets:
        for number, groups in enumerate(ds.get("PerFrameFunctionalGroupsSequence", ()), start=1):
            position = groups.PlanePositionSequence[0].ImagePositionPatient
            found[str(ds.SOPInstanceUID), number] = np.array(position, dtype=float)
        if "ImagePositionPatient" in ds:
            found[str(ds.SOPInstanceUID), 1] = np.array(ds.ImagePositionPatient, dtype=float)
    return found
