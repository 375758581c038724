"""A short torture with a fixed seed; `make torture N=200` is the long one."""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic

import pytest

from tests.torture.__main__ import table
from tests.torture.ordeal import Ordeal

#: The listener may die between the question whether it is there and pynetdicom's connection, whose socket then leaks.
pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]

SEED = 20261121
TORMENTS = 12


def test_a_tormented_node_loses_nothing_that_it_acknowledged_and_delivers_each_result_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = monotonic()
    ordeal = Ordeal(tmp_path, SEED)
    try:
        found = ordeal.run(TORMENTS)
    finally:
        sys.stdout.write(f"---- seed {SEED}\n{ordeal.node.text()}")
    with capsys.disabled():
        sys.stdout.write(f"\n{table(ordeal, found, SEED, monotonic() - began)}\n")
    assert found.faults == []
    assert found.acknowledged == 12 * found.studies > 0
