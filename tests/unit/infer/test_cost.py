"""What inference costs beyond the network itself, as `bench/inference.py` measures it, on smaller volumes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def measured(*arguments: str) -> float:
    """The last ratio that the benchmark prints."""
    command = [sys.executable, str(ROOT / "bench" / "inference.py"), "--threads", "1", *arguments]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return float(re.findall(r": (\d+\.\d+)", told)[-1])


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from proc(5)")
def test_an_answer_takes_at_most_six_times_the_volume() -> None:
    pytest.importorskip("onnx")
    # What does not grow with the number of slices weighs three times as much as with 300.
    assert measured("--only", "memory", "--slices", "100", "--size", "384") <= 6


def test_tiles_cost_little_beyond_the_runtime() -> None:
    # Processor time with one thread: the wall time of a machine that other tests share says nothing. Even that grows
    # where another process empties the caches, so the least of a few counts.
    assert any(measured("--only", "time", "--slices", "80", "--runs", "3") <= 1.1 for _ in range(3))
