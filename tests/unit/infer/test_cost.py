"""What inference costs beyond the network itself, as the benchmarks measure it, on smaller volumes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx")

from bench import inference, memory
from bench.bundles import flat
from dicomnode.infer.bundle.load import load_bundle


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from proc(5)")
def test_an_analysis_takes_at_most_six_times_the_volume() -> None:
    # What does not grow with the number of slices weighs several times as much as with 600 of 512 × 512.
    assert memory.above_idle("lung-ct", (120, 384, 384)) <= 6


def test_tiles_cost_little_beyond_the_runtime() -> None:
    # Processor time with one thread: the wall time of a machine that other tests share says nothing. Even that grows
    # where another process empties the caches, so the least of a few counts.
    spec = load_bundle(inference.MODELS / "lung-ct")
    ours, pure = inference.taken(inference.body((80, 512, 512)), spec, runs=3, threads=1, clock="processor")
    assert min(ours) <= 1.1 * min(pure)


def test_tiles_of_slices_cost_little_beyond_the_runtime(tmp_path: Path) -> None:
    spec = flat(tmp_path / "flat")
    ours, pure = inference.taken(inference.body((1, 512, 512)), spec, runs=3, threads=1, clock="processor")
    assert min(ours) <= 1.1 * min(pure)
