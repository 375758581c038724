"""A few hostile inputs of every kind with each run of the tests; `make fuzz N=100000` takes a night."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_hostile_inputs_are_refused_and_nothing_else_happens(target: str) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--inputs", "200", "--target", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{target}: 200 inputs" in done.stdout


def test_the_same_number_is_the_same_input() -> None:
    data = bytes(range(256))
    assert mutated(data, Random("1 2")) == mutated(data, Random("1 2"))
    assert len({mutated(data, Random(f"1 {number}")) for number in range(50)}) > 40
