"""What an answer refuses: networks that do not say what they are declared to, and memory that does not suffice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from highdicom import Volume

from dicomnode.domain.errors import ModelError, Unsuitable
from dicomnode.infer.answer import answer
from dicomnode.infer.mask import slab_of
from dicomnode.infer.network.session import Sessions
from tests.unit.infer.small import bundle, detecting, mixing, pooling
from tests.unit.infer.test_answer import CLASSES, DENSE, AsSource

SCALED = '[[prepare]]\nstep = "scale"\nrange = [-1000.0, 1000.0]\n'


@pytest.fixture
def dense(phantom: Volume) -> npt.NDArray[np.uint8]:
    """What the thresholding network finds in the phantom."""
    return (phantom.array > 0).astype(np.uint8)


@pytest.mark.parametrize("task", ["segment", "classify", "detect"])
def test_logits_that_are_passed_off_as_probabilities_are_an_error(
    task: str, phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    # Beyond 65504, float16 would make the wrong channel win without a word.
    content = {
        "segment": mixing([[0.0], [1e6]], [1e5, 0.0]),
        "classify": pooling([[0.0], [3e3]], [900.0, 0.0]),
        "detect": detecting(0.5),
    }[task]
    output = {"classify": CLASSES.format("none", "mean")}.get(task, 'activation = "none"')
    prepare = '[[prepare]]\nstep = "clip"\nrange = [-1000.0, 1000.0]\n' if task == "detect" else SCALED
    spec = bundle(tmp_path, task, content, output=output, labels=2 if task == "classify" else 1, prepare=prepare)
    with pytest.raises(ModelError, match=r"(logits|scores) holds values from .* needed .* write softmax or sigmoid"):
        answer([as_source(phantom)], spec, Sessions(threads=1))


def test_probabilities_that_a_network_makes_itself_pass(
    phantom: Volume, as_source: AsSource, tmp_path: Path, dense: npt.NDArray[np.uint8]
) -> None:
    # 1 - x and x of the scaled intensity, off by no more than float16 rounds.
    content = mixing([[-1.0], [1.0]], [1.0, 0.0005])
    prepare = '[[prepare]]\nstep = "window"\ncentre = 0.5\nwidth = 1.0\n'
    spec = bundle(tmp_path, "segment", content, output='activation = "none"', prepare=prepare)
    found = answer([as_source(phantom)], spec, Sessions(threads=1))
    assert np.array_equal(found.segmentation.volume.array, dense)


def test_a_box_with_its_corners_the_wrong_way_round_is_an_error(
    phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    spec = bundle(tmp_path, "detect", detecting(0.5, half=-0.5), output='activation = "none"')
    with pytest.raises(ModelError, match="low corner lies beyond its high one, needed"):
        answer([as_source(phantom)], spec, Sessions(threads=1))


@pytest.mark.parametrize("task", ["segment", "classify"])
@pytest.mark.parametrize("batch", ["4", '"auto"'])
def test_a_network_of_a_fixed_batch_gets_its_last_one_filled_up(
    task: str, batch: str, phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    tile = "shape = [1, 24, 30]\noverlap = 0.0\nbatch = "
    make: Callable[..., bytes] = mixing if task == "segment" else pooling
    answers = {}
    for name, length, how in (("fixed", 4, batch), ("open", "batch", "1")):
        spec = bundle(
            tmp_path / name, task, make([[0.0], [40.0]], [0.0, -20.0], batch=length), tile=tile + how,
            output=CLASSES.format("softmax", "mean") if task == "classify" else 'activation = "softmax"',
            labels=2 if task == "classify" else 1,
        )  # fmt: skip
        # 14 slices are three batches of four and one of two.
        answers[name] = answer([as_source(phantom)], spec, Sessions(threads=1))
    same, wanted = answers["fixed"], answers["open"]
    assert np.array_equal(same.segmentation.volume.array, wanted.segmentation.volume.array)
    assert same.segmentation.volume.array.any() or task == "classify"
    assert [[value for _, value in one.probabilities] for one in same.classifications] == [
        pytest.approx([value for _, value in one.probabilities], abs=1e-6) for one in wanted.classifications
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prepare": '[[prepare]]\nstep = "resample"\nspacing_mm = 0.002\n'}, r"needs \d{4,}\.\d GiB of memory"),
        ({"prepare": '[[prepare]]\nstep = "crop_or_pad"\nshape = [0, 600000, 600000]\n'}, r"needs \d{4,}\.\d GiB"),
        ({"tile": "shape = [20000, 5000, 5000]\noverlap = 0.0\nbatch = 1"}, r"needs \d{4,}\.\d GiB"),
    ],
)
def test_what_does_not_fit_into_memory_is_refused_before_it_is_taken(
    options: dict[str, str], said: str, phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    spec = bundle(tmp_path, "segment", mixing(*DENSE), **options)
    with pytest.raises(Unsuitable, match=said + r".*, \d+\.\d GiB available"):
        answer([as_source(phantom)], spec, Sessions(threads=1))


@pytest.mark.parametrize(
    "error", [MemoryError("Unable to allocate 9 GiB"), RuntimeError("Failed to allocate memory for image.")]
)
def test_memory_that_runs_out_on_the_way_is_told_in_words(
    error: Exception, phantom: Volume, as_source: AsSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: object) -> None:
        raise error

    monkeypatch.setattr("dicomnode.infer.mask.prepare", short)
    spec = bundle(tmp_path, "segment", mixing(*DENSE))
    with pytest.raises(Unsuitable, match="model small: memory ran out, needed more for a series of this size"):
        answer([as_source(phantom)], spec, Sessions(threads=1))


def test_probabilities_of_many_labels_come_back_few_slices_at_a_time() -> None:
    for labels, slices in ((2, 16), (63, 4), (255, 1), (10**4, 1)):
        assert slab_of(np.empty((labels + 1, 0, 0, 0), dtype=np.float16), (300, 512, 512)) == slices
