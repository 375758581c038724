"""What inference costs beyond the network itself, as the benchmarks measure it, on smaller volumes.

Memory and calls of the runtime are the same on every machine; what they take by the clock is a row of `make bench`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("onnx")

from onnxruntime import InferenceSession

from bench import inference, memory
from bench.bundles import flat
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.mask import probabilities
from dicomnode.infer.network.ensemble import Ensemble
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.network.tiles import cut, places
from dicomnode.infer.prepare.pipeline import prepare

Fed = list[npt.NDArray[Any]]


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> Fed:
    """Every array that the runtime is run on."""
    arrays: Fed = []
    run = InferenceSession.run

    def noting(session: InferenceSession, names: Sequence[str], feeds: Mapping[str, Any], *rest: Any) -> Any:
        arrays.extend(np.array(value) for value in feeds.values())
        return run(session, names, feeds, *rest)

    monkeypatch.setattr(InferenceSession, "run", noting)
    return arrays


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from proc(5)")
def test_an_analysis_takes_at_most_six_times_the_volume() -> None:
    # What does not grow with the number of slices weighs several times as much as with 600 of 512 × 512.
    assert memory.above_idle("lung-ct", (120, 384, 384)) <= 6


def test_the_runtime_runs_once_for_every_tile_and_for_nothing_else(fed: Fed) -> None:
    spec = load_bundle(inference.MODELS / "lung-ct")
    array = prepare([inference.body((80, 512, 512))], spec).array
    probabilities(array, Ensemble(spec, Sessions(threads=2, device="cpu")))
    wanted = [cut(array, start, spec.tile) for start in product(*places(array.shape[1:], spec.tile))]
    assert len(fed) == len(wanted) > 1
    assert all(np.array_equal(one[0], tile) for one, tile in zip(fed, wanted, strict=True))


def test_the_runtime_runs_once_for_every_tile_of_slices_and_for_nothing_else(fed: Fed, tmp_path: Path) -> None:
    spec = flat(tmp_path / "flat")
    array = prepare([inference.body((2, 512, 512))], spec).array
    probabilities(array, Ensemble(spec, Sessions(threads=2, device="cpu")))
    wanted = [cut(array, start, spec.tile) for start in product(*places(array.shape[1:], spec.tile))]
    assert len(fed) == len(wanted) > 2
    assert all(np.array_equal(one[0], tile[:, 0]) for one, tile in zip(fed, wanted, strict=True))
