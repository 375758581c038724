"""A bundle of each task and dimensionality, with networks whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from highdicom import Volume

from dicomnode.domain.errors import ConfigError, ModelError, Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.answer import answer
from dicomnode.infer.bundle.load import load_bundle, verify
from dicomnode.infer.mask import probabilities
from dicomnode.infer.network import plan
from dicomnode.infer.network.ensemble import Ensemble
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.suppress import best_of
from tests.unit.infer.small import FLOAT, HALF, bundle, description, detecting, mixing, pooling, write

AsSource = Callable[[Volume], SourceSeries]

#: Logits of (background, label) for a scaled intensity: the label from 0 HU, which is 0.5, upwards.
DENSE = ([[0.0], [400.0]], [0.0, -200.0])
PLANE = "shape = [1, 16, 16]\noverlap = 0.25\nbatch = 1"


@pytest.fixture
def dense(phantom: Volume) -> npt.NDArray[np.uint8]:
    """What the thresholding network finds in the phantom."""
    return (phantom.array > 0).astype(np.uint8)


@pytest.mark.parametrize(
    ("axes", "kind", "tile", "batch"),
    [
        (5, FLOAT, [8, 16, 16], 1),
        (5, HALF, [8, 16, 16], 3),
        (5, FLOAT, [1, 16, 16], 2),
        (4, FLOAT, [1, 16, 16], 1),
        (4, HALF, [1, 16, 16], 5),
        (4, FLOAT, [1, 24, 30], '"auto"'),
    ],
)
def test_networks_of_two_and_three_dimensions_and_two_precisions_segment(
    axes: int, kind: int, tile: list[int], batch: int, phantom: Volume, as_source: AsSource, tmp_path: Path,
    dense: npt.NDArray[np.uint8],
) -> None:  # fmt: skip
    content = mixing(*DENSE, axes=axes, kind=kind)
    spec = bundle(tmp_path, "segment", content, tile=f"shape = {tile}\noverlap = 0.25\nbatch = {batch}")
    found = answer([as_source(phantom)], spec, Sessions(threads=1))
    assert np.array_equal(found.segmentation.volume.array, dense)
    assert found.segmentation.segments == spec.segments
    assert found.warnings == ()


@pytest.mark.parametrize("axes", [4, 5])
@pytest.mark.parametrize(("channel", "shown", "offset"), [(0, 0, -1), (1, 0, 0), (2, 0, 1), (3, 1, -1), (5, 1, 1)])
def test_neighbouring_slices_are_channels_input_by_input(
    axes: int, channel: int, shown: int, offset: int, phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    pick = np.zeros((2, 6))
    pick[1, channel] = 400
    other = phantom.with_array(np.ascontiguousarray(phantom.array[::-1, ::-1]))
    spec = bundle(
        tmp_path,
        "segment",
        mixing(pick.tolist(), [0.0, -200.0], axes=axes),
        inputs=("ct", "pt"),
        tile=PLANE + "\nneighbours = 1",
    )
    found = answer([as_source(phantom), as_source(other)], spec, Sessions(threads=1)).segmentation.volume.array
    picture = (phantom, other)[shown].array > 0
    slices = np.clip(np.arange(len(picture)) + offset, 0, len(picture) - 1)
    assert np.array_equal(found > 0, picture[slices])


def test_several_inputs_are_channels_in_the_order_of_the_bundle(
    phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    other = phantom.with_array(np.ascontiguousarray(phantom.array[:, :, ::-1]))
    spec = bundle(tmp_path, "segment", mixing([[0, 0], [400, -400]], [0, -200]), inputs=("ct", "pt"))
    found = answer([as_source(phantom), as_source(other)], spec, Sessions(threads=1))
    difference = phantom.array.astype(int) - other.array > 1000
    assert difference.any()
    assert np.array_equal(found.segmentation.volume.array > 0, difference)


def test_too_few_series_are_an_error_that_names_the_inputs(
    phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    spec = bundle(tmp_path, "segment", mixing([[0, 0], [1, 1]], [0, 0]), inputs=("ct", "pt"))
    with pytest.raises(ModelError, match="1 series, needed one for each of ct, pt"):
        answer([as_source(phantom)], spec, Sessions(threads=1))


def test_an_ensemble_averages_probabilities(phantom: Volume, as_source: AsSource, tmp_path: Path) -> None:
    # sigmoid: 0.9 and 0.3 where it is dense → 0.6; 0.9 and 0.05 elsewhere → 0.475.
    high = mixing([[0.0]], [np.log(9)])
    steep = mixing([[4.2]], [np.log(0.05 / 0.95)])
    body = phantom.with_array(np.where(phantom.array > 0, 0, -1000).astype(np.int16))
    spec = bundle(tmp_path, "segment", high, steep, output='activation = "sigmoid"')
    array = np.ones((1, 8, 16, 16), dtype=np.float32) * np.array([0, 0.5] * 8, dtype=np.float32)
    found, background = probabilities(array, Ensemble(spec, Sessions(threads=1)))
    expected = np.mean([np.full(array[0].shape, 0.9), 1 / (1 + np.exp(np.log(19) - 4.2 * array[0]))], axis=0)
    assert not background
    assert np.abs(found[1] - expected).max() < 5e-4
    labels = answer([as_source(body)], spec, Sessions(threads=1)).segmentation.volume.array
    assert np.array_equal(labels > 0, body.array > -1000)
    verify(spec)
    (spec.folder / "model1.onnx").write_bytes(b"another")
    with pytest.raises(ModelError, match=r"model1\.onnx has SHA-256"):
        verify(spec)


@pytest.mark.parametrize("mirror", [(), (2,), (1, 2), (0, 1, 2)])
def test_mirrored_tiles_are_averaged_over_every_combination_of_axes(mirror: tuple[int, ...], tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    kernel = random.normal(size=(2, 1, 3, 3, 3)).astype(np.float32)
    content = mixing([], [0.1, -0.2], kernel=kernel)
    settings = "shape = [4, 5, 6]\noverlap = 0.0\nbatch = 1"
    plain = bundle(tmp_path / "plain", "segment", content, tile=settings, output='activation = "sigmoid"')
    spec = bundle(
        tmp_path / "turned", "segment", content,
        tile=f"{settings}\nmirror = {list(mirror)}", output='activation = "sigmoid"',
    )  # fmt: skip
    array = random.random((1, 4, 5, 6), dtype=np.float32)

    def alone(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return probabilities(image, Ensemble(plain, Sessions(threads=1)))[0].astype(np.float64)

    turns = [flips for count in range(len(mirror) + 1) for flips in combinations(mirror, count)]
    axes = [tuple(axis + 1 for axis in flips) for flips in turns]
    expected = np.mean([np.flip(alone(np.flip(array, flips).copy()), flips) for flips in axes], axis=0)
    found, background = probabilities(array, Ensemble(spec, Sessions(threads=1)))
    assert background
    assert np.abs(found - expected).max() < 1e-3
    assert len(turns) == 2 ** len(mirror)


def test_tiles_without_body_are_background(phantom: Volume, as_source: AsSource, tmp_path: Path) -> None:
    # The network calls everything a lesion; air (0.05) is not asked about.
    tile = "shape = [4, 4, 4]\noverlap = 0.0\nbatch = 2\nskip_below = 0.3"
    for activation, content in (("softmax", mixing([[0.0], [0.0]], [0, 9])), ("sigmoid", mixing([[0.0]], [9]))):
        spec = bundle(tmp_path / activation, "segment", content, tile=tile, output=f'activation = "{activation}"')
        labels = answer([as_source(phantom)], spec, Sessions(threads=1)).segmentation.volume.array
        assert labels[0, 0, 0] == 0
        assert (labels[phantom.array > -400] == 1).all()
        assert 0.1 < labels.mean() < 0.9


def test_probabilities_too_large_for_memory_go_to_a_file(
    phantom: Volume, as_source: AsSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dense: npt.NDArray[np.uint8]
) -> None:
    monkeypatch.setattr(plan, "available_bytes", lambda: 1000)
    spec = bundle(tmp_path, "segment", mixing(*DENSE))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert isinstance(plan.room_for(spec, 3, 2, (4, 5, 6), scratch), np.memmap)
    sums = plan.sums_for(spec, scratch, (3, 4, 5, 6))
    assert isinstance(sums, np.memmap)
    assert sums.dtype == np.float32
    assert sums.shape == (3, 4, 5, 6)
    assert not sums.any()
    found = answer([as_source(phantom)], spec, Sessions(threads=1, scratch=scratch))
    assert np.array_equal(found.segmentation.volume.array, dense)
    assert list(scratch.iterdir()) == []
    with pytest.raises(ModelError, match=r"probabilities of \d+ MiB with 0 MiB of memory .* needed room"):
        plan.room_for(spec, 2**20, 2**20, (10**4, 10**4, 10**4), scratch)
    monkeypatch.setattr(plan, "available_bytes", lambda: None)
    assert not isinstance(plan.room_for(spec, 3, 2, (4, 5, 6), scratch), np.memmap)


def test_memory_that_is_available_is_known_where_the_system_tells_it() -> None:
    available = plan.available_bytes()
    assert available is None or 2**20 < available < 2**50


@pytest.fixture
def cascade(tmp_path: Path) -> Path:
    """A fine model that labels all above -500 HU, looking only round what is above 500 HU."""
    coarse = [mixing([[0.0], [400.0]], [0.0, -300.0])]
    fine = [mixing([[0.0], [400.0]], [0.0, -100.0])]
    rest = '[cascade]\nfolder = "coarse"\nmargin_mm = 2.5\n'
    write(tmp_path / "small" / "coarse", coarse, description("segment", coarse, name="coarse"))
    return write(tmp_path / "small", fine, description("segment", fine, rest=rest))


def test_a_cascade_looks_round_what_the_coarse_model_found(
    oriented: Volume, as_source: AsSource, cascade: Path
) -> None:
    found = answer([as_source(oriented)], load_bundle(cascade), Sessions(threads=1)).segmentation.volume.array
    where = np.argwhere(oriented.array > 500)
    margin = np.ceil(2.5 / np.array(oriented.spacing)).astype(int)
    expected = np.zeros_like(found)
    box = tuple(
        slice(max(0, low - more), high + more + 1)
        for low, high, more in zip(where.min(axis=0), where.max(axis=0), margin, strict=True)
    )
    expected[box] = oriented.array[box] > -500
    assert 0 < expected.sum() < (oriented.array > -500).sum()
    assert np.array_equal(found, expected)


def test_a_cascade_with_nowhere_to_look_refuses_and_calls_nothing_absent(
    phantom: Volume, as_source: AsSource, cascade: Path
) -> None:
    air = phantom.with_array(np.minimum(phantom.array, 200).astype(np.int16))
    said = "model small: Label 1 not found by coarse, so there was nowhere to look"
    with pytest.raises(Unsuitable, match=said):
        answer([as_source(air)], load_bundle(cascade), Sessions(threads=1))


@pytest.mark.parametrize("task", ["segment", "classify"])
def test_a_series_of_which_no_tile_is_worth_running_is_refused(
    task: str, phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    tile = "shape = [8, 16, 16]\noverlap = 0.0\nbatch = 1\nskip_below = 0.99"
    content = mixing(*DENSE) if task == "segment" else pooling([[1.0], [0.0]], [0.0, 0.0])
    output = 'activation = "softmax"' if task == "segment" else CLASSES.format("softmax", "mean")
    spec = bundle(tmp_path, task, content, tile=tile, output=output, labels=1 if task == "segment" else 2)
    with pytest.raises(Unsuitable, match=r"ct has no prepared value above 0\.99, needed .* \(the highest is 0\.95\)"):
        answer([as_source(phantom)], spec, Sessions(threads=1))


def test_a_coarse_model_counts_in_recipe_and_verification(cascade: Path) -> None:
    before = load_bundle(cascade)
    assert before.cascade is not None
    assert (before.cascade.model.name, before.cascade.margin_mm) == ("coarse", 2.5)
    verify(before)
    description_ = cascade / "coarse" / "model.toml"
    description_.write_text(description_.read_text() + "\n")
    assert load_bundle(cascade).recipe != before.recipe
    (cascade / "coarse" / "model0.onnx").write_bytes(b"another")
    with pytest.raises(ModelError, match=r"model coarse: model0\.onnx has SHA-256"):
        verify(before)


def test_a_coarse_model_that_cannot_serve_is_a_fault(tmp_path: Path, cascade: Path) -> None:
    coarse = cascade / "coarse" / "model.toml"
    good = coarse.read_text()
    for old, new, said in (
        ('name = "coarse"', 'nme = "coarse"', "small/coarse/model.toml: model.nme"),
        ("[input.ct]", "[input.mr]", "it has the inputs"),
        (
            "[tile]",
            "[valid]\nminimum_slices = 500\n[tile]",
            "coarse: valid .*limits of the fine model alone are checked",
        ),
        ("[tile]", "[plausible]\nwhole = [1]\n[tile]", "coarse: plausible .*answer of the fine model alone is checked"),
        ("[input.ct]", 'features = ["PatientAge"]\n[input.ct]', r"coarse: model\.features .*gets images alone"),
        ('Modality = "CT"', 'Modality = "MR"', r"coarse: input\.ct .*conditions of the fine model alone"),
        ("[[segment]]", '[cascade]\nfolder = "a"\nmargin_mm = 0.0\n[[segment]]', "cannot have a coarse model"),
    ):
        coarse.write_text(good.replace(old, new, 1))
        with pytest.raises(ConfigError, match=said):
            load_bundle(cascade)
    coarse.unlink()
    with pytest.raises(ConfigError, match=r"small/coarse/model\.toml .*cannot be read"):
        load_bundle(cascade)


def test_lesions_of_a_bundle_get_their_own_segments(phantom: Volume, as_source: AsSource, tmp_path: Path) -> None:
    spotted = phantom.array.copy()
    spotted[12, 2:4, 2:4] = 900
    spotted[12, 20, 2] = 900
    content = mixing([[0.0], [400.0]], [0.0, -200.0])
    rest = '[[post]]\nstep = "lesions"\nsegments = [1]\ninto = [2, 3]\n'
    spec = bundle(tmp_path, "segment", content, labels=1, derived=2, rest=rest)
    found = answer([as_source(phantom.with_array(spotted))], spec, Sessions(threads=1))
    labels = found.segmentation.volume.array
    counts = np.bincount(labels.ravel(), minlength=4)
    assert counts[1] > counts[2] > counts[3] == 4
    assert (labels[12, 2:4, 2:4] == 3).all()
    assert labels[12, 20, 2] == 0
    assert found.warnings == (
        "Label 1: 1 further piece was left out (centre in mm LPS): 0.0037 ml at (-17.5, 60.0, -116.0)",
    )


CLASSES = 'activation = "{}"\naggregate = "{}"\nquestion = {{ value = "Q", scheme = "99TEST", meaning = "What" }}'


@pytest.mark.parametrize(("activation", "aggregate"), [("softmax", "mean"), ("sigmoid", "max"), ("softmax", "max")])
def test_a_classifier_sums_up_its_tiles(
    activation: str, aggregate: str, phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    weights, bias = [[3.0], [-1.0], [0.5]], [0.0, 0.4, -0.2]
    spec = bundle(
        tmp_path, "classify", pooling(weights, bias), labels=3, output=CLASSES.format(activation, aggregate),
        tile="shape = [7, 12, 15]\noverlap = 0.0\nbatch = 3",
    )  # fmt: skip
    found = answer([as_source(phantom)], spec, Sessions(threads=1))
    scaled = (np.clip(phantom.array, -1000, 1000) + 1000) / 2000
    means = [scaled[s : s + 7, r : r + 12, c : c + 15].mean() for s in (0, 7) for r in (0, 12) for c in (0, 15)]
    logits = np.array(means)[:, None] * np.array(weights)[:, 0] + bias
    table = 1 / (1 + np.exp(-logits))
    if activation == "softmax":
        table = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = table.max(axis=0) if aggregate == "max" else table.mean(axis=0)
    (classification,) = found.classifications
    assert [value for _, value in classification.probabilities] == pytest.approx(expected, abs=1e-5)
    assert [code.value for code, _ in classification.probabilities] == ["0", "1", "2"]
    assert classification.answer.value == str(expected.argmax())
    assert classification.question.meaning == "What"
    assert found.segmentation.segments == ()
    assert not found.segmentation.volume.array.any()


def test_two_classes_may_come_as_one_probability(phantom: Volume, as_source: AsSource, tmp_path: Path) -> None:
    spec = bundle(
        tmp_path, "classify", pooling([[0.0]], [np.log(4)]), labels=2, output=CLASSES.format("sigmoid", "mean")
    )
    (found,) = answer([as_source(phantom)], spec, Sessions(threads=1)).classifications
    assert [value for _, value in found.probabilities] == pytest.approx([0.2, 0.8], abs=1e-6)
    assert found.answer.meaning == "Answer 1"


def test_a_series_without_body_cannot_be_classified(phantom: Volume, as_source: AsSource, tmp_path: Path) -> None:
    spec = bundle(
        tmp_path, "classify", pooling([[1.0], [0.0]], [0.0, 0.0]), labels=2, output=CLASSES.format("softmax", "mean"),
        tile="shape = [8, 16, 16]\noverlap = 0.0\nbatch = 1\nskip_below = 0.999",
    )  # fmt: skip
    with pytest.raises(Unsuitable, match=r"no prepared value above 0\.999, needed some of a body"):
        answer([as_source(phantom)], spec, Sessions(threads=1))


def test_scores_may_take_clinical_numbers(phantom: Volume, as_source: AsSource, tmp_path: Path) -> None:
    content = pooling([[1.0, 0.0, 0.0], [0.0, 0.5, 10.0]], [0.0, 1.0], features=2)
    spec = bundle(
        tmp_path, "score", content, labels=2, output='activation = "none"',
        model='features = ["PatientAge", "PatientSex"]', tile="shape = [14, 24, 30]\noverlap = 0.0\nbatch = 1",
    )  # fmt: skip
    source = as_source(phantom)
    found = answer([source], spec, Sessions(threads=1), features={"PatientSex": 1.0, "PatientAge": 60.0, "more": 0.0})
    scaled = (phantom.array.astype(float) + 1000) / 2000
    # The runtime sums 10 080 values in float32.
    assert [one.value for one in found.measurements] == pytest.approx([scaled.mean(), 0.5 * 60 + 10 + 1], rel=1e-4)
    assert [(one.segment_number, one.name.value, one.unit.value) for one in found.measurements] == [
        (0, "0", "1"),
        (0, "1", "1"),
    ]
    with pytest.raises(Unsuitable, match="no PatientAge known, needed"):
        answer([source], spec, Sessions(threads=1), features={"PatientSex": 1.0})
    with pytest.raises(Unsuitable, match="PatientAge is not finite"):
        answer([source], spec, Sessions(threads=1), features={"PatientSex": 1.0, "PatientAge": float("nan")})


RESAMPLED = (
    '[[prepare]]\nstep = "resample"\nspacing_mm = [2.0, 1.5, 1.25]\noutside = -1000.0\n'
    '[[prepare]]\nstep = "scale"\nrange = [-1000.0, 1000.0]\n'
)


@pytest.mark.parametrize("mirror", ["", "\nmirror = [0, 2]"])
def test_a_detector_finds_boxes_in_source_voxels_by_falling_score(
    mirror: str, oriented: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    array = np.full_like(oriented.array, -900)
    places = [tuple(np.array(array.shape) // 2), (1, 2, 3), (array.shape[0] - 1, 0, array.shape[2] - 1)]
    for place, value in zip(places, (500, 980, 700), strict=True):
        array[place] = value
    spec = bundle(
        tmp_path, "detect", detecting(0.5), prepare=RESAMPLED,
        output='activation = "none"\nscore_at_least = 0.6\niou = 0.2',
        tile=f"shape = [6, 9, 10]\noverlap = 0.6\nbatch = 4{mirror}",
    )  # fmt: skip
    found = answer([as_source(oriented.with_array(array))], spec, Sessions(threads=1))
    assert [one.number for one in found.detections] == [1, 2, 3]
    assert [one.score for one in found.detections] == pytest.approx([0.99, 0.85, 0.75], abs=1e-5)
    for detection, place in zip(found.detections, (places[1], places[2], places[0]), strict=True):
        assert np.allclose(detection.low, np.array(place) - 0.5, atol=1e-5)
        assert np.allclose(detection.high, np.array(place) + 0.5, atol=1e-5)
        assert detection.segment == spec.segments[0]
    assert not found.segmentation.volume.array.any()


def test_a_thing_that_a_detector_of_slices_sees_on_several_is_one(
    phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    array = np.full_like(phantom.array, -900)
    array[3:9, 4, 5] = [500, 600, 980, 700, 600, 500]
    array[11, 4, 5] = array[5, 20, 20] = 400
    tile = "shape = [1, 12, 15]\noverlap = 0.5\nbatch = 1"
    spec = bundle(tmp_path, "detect", detecting(0.5), output='activation = "none"\nscore_at_least = 0.6', tile=tile)
    found = answer([as_source(phantom.with_array(array))], spec, Sessions(threads=1)).detections
    assert [(one.low, one.high) for one in found] == [
        ((2.5, 3.5, 4.5), (8.5, 4.5, 5.5)),
        ((4.5, 19.5, 19.5), (5.5, 20.5, 20.5)),
        ((10.5, 3.5, 4.5), (11.5, 4.5, 5.5)),
    ]
    assert [one.score for one in found] == pytest.approx([0.99, 0.7, 0.7], abs=1e-5)


def test_more_boxes_than_are_kept_are_told(
    phantom: Volume, as_source: AsSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best_of, "__defaults__", (3,))
    spec = bundle(tmp_path, "detect", detecting(0.5), output='activation = "none"')
    found = answer([as_source(phantom)], spec, Sessions(threads=1))
    assert len(found.detections) == 3
    assert found.warnings == ("Label 1: more than 2000 boxes, of which those of the highest scores were kept",)


def test_a_detector_that_finds_nothing_says_nothing(phantom: Volume, as_source: AsSource, tmp_path: Path) -> None:
    spec = bundle(tmp_path, "detect", detecting(0.999, labels=2), labels=2, output='activation = "none"')
    assert answer([as_source(phantom)], spec, Sessions(threads=1)).detections == ()


def test_boxes_of_different_labels_do_not_displace_each_other(
    phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    array = np.full_like(phantom.array, -900)
    array[3, 4, 5] = 900
    spec = bundle(tmp_path, "detect", detecting(0.5, labels=2), labels=2, output='activation = "none"')
    found = answer([as_source(phantom.with_array(array))], spec, Sessions(threads=1)).detections
    assert [(one.number, one.segment.number, one.low) for one in found] == [
        (1, 1, (2.5, 3.5, 4.5)),
        (2, 2, (2.5, 3.5, 4.5)),
    ]
