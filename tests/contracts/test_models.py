"""Every bundle in models/: what it says about itself is true, and a phantom comes back on its own grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset

from dicomnode.domain.finding import SourceSeries, planes_of
from dicomnode.domain.model import InputSpec, ModelSpec, Subject
from dicomnode.flow.models.card import card, lacking
from dicomnode.infer.answer import answer
from dicomnode.infer.bundle.load import find_bundles, load_bundle, verify
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.quality.gate import check, require

MODELS = Path(__file__).resolve().parents[2] / "models"
FOLDERS = sorted(path.parent for path in MODELS.glob("*/model.toml"))

#: Licences under which weights may be shipped with this project; data that forbid commercial use forbid it, too.
SHIPPABLE = {"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "CC0-1.0"}


PARAMS: list[Path | None] = [*FOLDERS] or [None]


@pytest.fixture(params=PARAMS, ids=lambda folder: folder.name if folder else "none")
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    if request.param is None:
        pytest.skip("models/ holds no bundle")
    return load_bundle(request.param)


@pytest.fixture
def network(spec: ModelSpec) -> ModelSpec:
    """A bundle with a network; what measures drawn contours has none."""
    if not spec.weights:
        pytest.skip("no network runs; tests/unit/flow/test_contours.py runs the bundle")
    return spec


def test_its_folder_bears_its_name(spec: ModelSpec) -> None:
    assert spec.folder.name == spec.name
    assert find_bundles(MODELS)[0][spec.name] == spec


def test_its_network_is_the_declared_one_and_fits(network: ModelSpec) -> None:
    verify(network)
    session = Sessions(threads=1).load(network, network.weights[0])
    assert [value.name for value in (*session.get_inputs(), *session.get_outputs())] == ["image", "logits"]


def test_its_labels_are_coded_and_distinct(spec: ModelSpec) -> None:
    meanings = [
        (label.type.value, label.laterality and label.laterality.value, label.anatomic_region)
        for label in spec.segments
        if label.subject is Subject.STRUCTURE  # several lesions of one organ are told apart by their labels
    ]
    assert len(set(meanings)) == len(meanings)
    assert len({label.label for label in spec.segments}) == len(spec.segments)
    for label in spec.segments:
        for code in (label.category, label.type, label.laterality, label.anatomic_region):
            assert code is None or (code.value and code.scheme and code.meaning)


def test_its_card_and_licence_are_there(spec: ModelSpec) -> None:
    card = (spec.folder / "CARD.md").read_text(encoding="utf-8")
    assert len(card.split()) > 100
    assert spec.licence in SHIPPABLE
    assert spec.licence in card


def test_its_card_tells_what_claim_and_tripod_ask_for(spec: ModelSpec) -> None:
    assert list(lacking(spec, card(spec))) == []


def test_a_phantom_comes_back_on_its_own_grid(network: ModelSpec) -> None:
    spec = network
    sources = [phantom(spec, each) for each in spec.images]
    source = sources[0]
    assert require(check(sources, spec), "phantom") == ()
    found = answer(sources, spec, Sessions(threads=2)).segmentation
    assert found.volume.array.dtype == np.uint8
    assert found.volume.array.shape == source.volume.array.shape
    assert np.array_equal(found.volume.affine, source.volume.affine)
    assert set(np.unique(found.volume.array)) <= {0, *(label.number for label in spec.segments)}


def test_the_same_input_gives_the_same_output(network: ModelSpec) -> None:
    spec = network
    sources, sessions = [phantom(spec, each) for each in spec.images], Sessions(threads=2)
    first, second = (answer(sources, spec, sessions).segmentation.volume.array for _ in range(2))
    assert np.array_equal(first, second)


def phantom(spec: ModelSpec, fed: InputSpec) -> SourceSeries:
    """A small axial volume inside the valid range: a bright body with two dark ellipsoids, feet-first order."""
    slice_mm = sum(spec.limit("slice_spacing_mm", (3, 3))) / 2
    pixel_mm = sum(spec.limit("pixel_spacing_mm", (1, 1))) / 2
    _, widest_mm = spec.limit("field_of_view_mm", (0, 1000))
    rows, columns = (min(count, int(widest_mm / pixel_mm)) for count in (96, 112))
    shape = (max(spec.limit("minimum_slices", 1), 24), rows, columns)
    clips = [step for step in spec.prepare if step.name == "clip"]
    low, high = next(step.options["range"] for step in clips if not step.inputs or fed.name in step.inputs)
    array = np.full(shape, low, dtype=np.float32)
    grid = np.indices(shape) / np.array(shape).reshape(3, 1, 1, 1) - 0.5
    array[np.hypot(grid[1] / 0.42, grid[2] / 0.47) <= 1] = low + 0.75 * (high - low)
    for side in (-0.22, 0.22):
        ellipsoid = np.sqrt((grid[0] / 0.4) ** 2 + (grid[1] / 0.28) ** 2 + ((grid[2] - side) / 0.16) ** 2) <= 1
        array[ellipsoid] = low + 0.1 * (high - low)
    affine = np.array([[0, 0, pixel_mm, -60], [0, pixel_mm, 0, -50], [-slice_mm, 0, 0, 300], [0, 0, 0, 1]], dtype=float)
    header = Dataset()
    header.SeriesInstanceUID = "1.2.3"
    return SourceSeries(
        volume=Volume(array=array, affine=affine, coordinate_system="PATIENT"), planes=planes_of((header,) * shape[0])
    )
