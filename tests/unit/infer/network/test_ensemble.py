"""Running batches: bound to a device, halved when memory is short, on the CPU when the card fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from structlog.testing import capture_logs

from dicomnode.domain.errors import ModelError, Unsuitable
from dicomnode.infer.network import device, ensemble
from dicomnode.infer.network.device import Choice
from dicomnode.infer.network.ensemble import Ensemble, run_bound
from dicomnode.infer.network.session import Sessions
from tests.unit.infer.small import HALF, bundle, detecting, mixing

SHORT = "CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size)"
Bound = Callable[..., list[npt.NDArray[Any]]]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Callable[[Bound], Sessions]:
    """Sessions that believe in a graphics card, whose work the test does."""

    def make(bound: Bound) -> Sessions:
        monkeypatch.setattr(ensemble, "run_bound", bound)
        # Only the CPU's provider is there to be loaded, under the name of the other.
        monkeypatch.setattr(ensemble, "CPU", "none")
        sessions = Sessions(threads=1, device="cpu")
        monkeypatch.setattr(Sessions, "on_cpu", False)
        return sessions

    return make


def tiles(count: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).random((count, 1, 2, 3, 4), dtype=np.float32)


@pytest.mark.parametrize("kind", ["float", "half"])
def test_bound_inputs_and_outputs_give_the_same_as_plain_ones(kind: str, tmp_path: Path) -> None:
    content = mixing([[0.5], [2.0]], [0.0, 1.0], **({"kind": HALF} if kind == "half" else {}))
    spec = bundle(tmp_path, "segment", content, tile="shape = [2, 3, 4]\noverlap = 0.0\nbatch = 3")
    session = Sessions(threads=1, device="cpu").get(spec)
    assert session is not None
    batch = tiles(3).astype(np.float16 if kind == "half" else np.float32)
    (bound,) = run_bound(session, "cpu", {"image": batch}, ["logits"])
    assert np.array_equal(bound, session.run(["logits"], {"image": batch})[0])
    (found,) = Ensemble(spec, Sessions(threads=1, device="cpu")).run(spec.weights[0], tiles(3))
    assert found.dtype == np.float32
    assert np.array_equal(found, bound.astype(np.float32)) or kind == "half"


def test_lists_of_unknown_length_can_be_bound(tmp_path: Path) -> None:
    spec = bundle(tmp_path, "detect", detecting(0.5), output='activation = "none"')
    session = Sessions(threads=1, device="cpu").get(spec)
    image = np.zeros((1, 1, 8, 16, 16), dtype=np.float32)
    image[0, 0, 1, 2, [3, 4]] = 0.75
    boxes, scores = run_bound(session, "cpu", {"image": image}, ["boxes", "scores"])
    assert boxes.tolist() == [[0.5, 1.5, 2.5, 1.5, 2.5, 3.5], [0.5, 1.5, 3.5, 1.5, 2.5, 4.5]]
    assert scores.tolist() == [[0.75], [0.75]]


def test_a_batch_too_large_for_the_card_is_halved_and_stays_so(
    card: Callable[[Bound], Sessions], tmp_path: Path
) -> None:
    sizes: list[int] = []

    def bound(session: Any, _: str, feeds: Mapping[str, Any], wanted: Iterable[str]) -> list[npt.NDArray[Any]]:
        sizes.append(len(feeds["image"]))
        if sizes[-1] > 2:
            raise RuntimeError(SHORT)
        return run_bound(session, "cpu", feeds, wanted)

    spec = bundle(
        tmp_path, "segment", mixing([[0.5], [2.0]], [0, 1]), tile="shape = [2, 3, 4]\noverlap = 0.0\nbatch = 7"
    )
    runner = Ensemble(spec, card(bound))
    (found,) = runner.run(spec.weights[0], tiles(7))
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    (again,) = runner.run(spec.weights[0], tiles(2))
    assert sizes[9:] == [1, 1]
    assert np.allclose(found[:, 1], 2 * tiles(7)[:, 0] + 1)
    assert np.allclose(again[:, 1], 2 * tiles(2)[:, 0] + 1)
    assert runner.warnings == ()


@pytest.mark.parametrize(("said", "calls"), [(SHORT, 3), ("CUDA failure 999: unknown error", 1)])
def test_a_card_that_fails_is_left_for_the_cpu_with_a_warning_and_one_line_in_the_log(
    card: Callable[[Bound], Sessions], tmp_path: Path, said: str, calls: int
) -> None:
    called: list[int] = []

    def bound(_: Any, __: str, feeds: Mapping[str, Any], ___: Iterable[str]) -> list[npt.NDArray[Any]]:
        called.append(len(feeds["image"]))
        raise RuntimeError(said)

    spec = bundle(
        tmp_path, "segment", mixing([[0.5], [2.0]], [0, 1]), tile="shape = [2, 3, 4]\noverlap = 0.0\nbatch = 4"
    )
    sessions = card(bound)
    with capture_logs() as logs:
        for _ in range(2):
            runner = Ensemble(spec, sessions)
            (found,) = runner.run(spec.weights[0], tiles(4))
            assert np.allclose(found[:, 0], 0.5 * tiles(4)[:, 0])
            assert runner.warnings == (f"computed on the CPU: the graphics card failed ({said})",)
    assert len(called) == 2 * calls
    assert [line["event"] for line in logs] == ["inference falls back to the CPU"]


def test_libraries_that_do_not_load_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(threads=1, device="cpu")
    monkeypatch.setattr(Sessions, "on_cpu", False)
    runner = Ensemble(bundle(tmp_path, "segment", mixing([[0.5], [2.0]], [0, 1])), sessions)
    assert runner.warnings == ("computed on the CPU: the libraries of the graphics card cannot be loaded",)


def test_an_error_of_the_cpu_is_a_model_error(card: Callable[[Bound], Sessions], tmp_path: Path) -> None:
    spec = bundle(tmp_path, "segment", mixing([[0.5], [2.0]], [0, 1], batch=1))
    with pytest.raises(ModelError, match="onnxruntime says"):
        Ensemble(spec, Sessions(threads=1, device="cpu")).run(spec.weights[0], np.zeros((1, 3, 8, 16, 16), np.float32))


@pytest.mark.parametrize(
    ("free", "expected"), [([1000, 900], 8), ([1000, 1000], 16), ([1000, 100], 1), ([None, None], 1)]
)
def test_an_automatic_batch_fills_the_free_memory_of_the_card(
    card: Callable[[Bound], Sessions],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: list[int | None],
    expected: int,
) -> None:
    spec = bundle(
        tmp_path, "segment", mixing([[0.5], [2.0]], [0, 1]), tile='shape = [2, 3, 4]\noverlap = 0.0\nbatch = "auto"'
    )
    asked: Iterator[int | None] = iter(free)
    monkeypatch.setattr(ensemble, "free_device_bytes", lambda: next(asked))
    runner = Ensemble(spec, card(lambda session, _, feeds, wanted: run_bound(session, "cpu", feeds, wanted)))
    assert runner.batch(lambda: tiles(1)[0]) == expected


def test_an_automatic_batch_is_one_on_the_cpu_and_for_networks_of_fixed_batch(
    card: Callable[[Bound], Sessions], tmp_path: Path
) -> None:
    tile = 'shape = [2, 3, 4]\noverlap = 0.0\nbatch = "auto"'
    free = bundle(tmp_path / "free", "segment", mixing([[0.5], [2.0]], [0, 1]), tile=tile)
    assert Ensemble(free, Sessions(threads=1, device="cpu")).batch(lambda: tiles(1)[0]) == 1
    fixed = bundle(tmp_path / "fixed", "segment", mixing([[0.5], [2.0]], [0, 1], batch=1), tile=tile)
    assert Ensemble(fixed, card(run_bound)).batch(lambda: tiles(1)[0]) == 1


def test_a_session_is_fetched_once_for_a_job_and_not_for_every_tile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = bundle(
        tmp_path, "segment", mixing([[0.5], [2.0]], [0, 1]), tile="shape = [2, 3, 4]\noverlap = 0.0\nbatch = 2"
    )
    runner = Ensemble(spec, Sessions(threads=1, device="cpu"))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(Sessions, "load", never)
    for _ in range(2):
        (found,) = runner.run(spec.weights[0], tiles(5))
        assert np.allclose(found[:, 1], 2 * tiles(5)[:, 0] + 1)


def test_folds_of_different_fixed_batches_run_together(tmp_path: Path) -> None:
    spec = bundle(
        tmp_path, "segment", mixing([[0.0], [1.0]], [0, 0], batch=2), mixing([[0.0], [2.0]], [0, 0], batch=3),
        tile='shape = [2, 3, 4]\noverlap = 0.0\nbatch = "auto"',
    )  # fmt: skip
    runner = Ensemble(spec, Sessions(threads=1, device="cpu"))
    assert runner.batch(lambda: tiles(1)[0]) == 2
    for reply, factor in zip(runner.stream([tiles(5)]), (1, 2), strict=True):
        assert np.allclose(reply.values[0][:, 1], factor * tiles(5)[:, 0])


def test_memory_that_the_processor_lacks_is_no_fault_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = bundle(tmp_path, "segment", mixing([[0.5], [2.0]], [0, 1]))
    runner = Ensemble(spec, Sessions(threads=1, device="cpu"))

    def short(*_: object) -> None:
        raise RuntimeError("Failed to allocate memory for requested buffer of size 99")

    monkeypatch.setattr(Ensemble, "_run", short)
    with pytest.raises(
        Unsuitable, match=r"model small: memory ran out \(Failed to allocate .*, needed more for a tile"
    ):
        runner.run(spec.weights[0], np.zeros((1, 1, 8, 16, 16), np.float32))


def test_the_next_batch_is_cut_while_the_last_one_is_used_and_replies_keep_their_order(tmp_path: Path) -> None:
    spec = bundle(
        tmp_path, "segment", mixing([[0.0], [1.0]], [0, 0]), mixing([[0.0], [2.0]], [0, 0]),
        tile="shape = [2, 3, 4]\noverlap = 0.0\nbatch = 1\nmirror = [2]",
    )  # fmt: skip
    runner = Ensemble(spec, Sessions(threads=1, device="cpu"))
    assert runner.replies == 4
    replies = list(runner.stream(np.full((1, 1, 2, 3, 4), number, dtype=np.float32) for number in range(3)))
    assert [float(reply.values[0][0, 1, 0, 0, 0]) for reply in replies] == [0, 0, 0, 0, 1, 2, 1, 2, 2, 4, 2, 4]
    assert [reply.last for reply in replies] == [False, False, False, True] * 3
    assert [reply.flips for reply in replies[:4]] == [(), (), (4,), (4,)]


def test_the_driver_is_asked_for_free_memory_and_may_be_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert device.free_device_bytes() is None
    tool = tmp_path / "nvidia-smi"
    for told, free in (("echo 81000", 81000 * 1024**2), ("exit 9", None), ("echo unknown", None)):
        tool.write_text(f"#!/bin/sh\n{told}\n")
        tool.chmod(0o755)
        assert device.free_device_bytes() == free


def test_a_card_is_used_where_driver_and_provider_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(device, "NVIDIA", tmp_path / "nvidiactl")
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [device.TENSORRT, device.CUDA, device.CPU])
    assert device.choose("auto") == Choice(providers=(device.CUDA, device.CPU))
    assert device.choose("cuda") == Choice(providers=(device.CUDA, device.CPU))
    assert device.choose("tensorrt") == Choice(providers=(device.TENSORRT, device.CUDA, device.CPU))
    assert device.choose("cpu").is_cpu
