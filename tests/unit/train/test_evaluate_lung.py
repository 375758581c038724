"""The shipped lung model, run as the node runs it, finds the lungs of a phantom."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.train.evaluate_lung import Agreement, agreement, table
from dicomnode.train.phantoms import LEFT, RIGHT, thorax
from dicomnode.train.reference import AxialCT

MODEL = Path(__file__).resolve().parents[3] / "models" / "lung-ct"


def test_the_shipped_model_agrees_with_a_phantom_that_it_was_not_trained_on() -> None:
    if not (MODEL / "model.onnx").exists():
        pytest.skip("models/lung-ct is not in this checkout")
    phantom = thorax(9, spacing_mm=(6.0, 2.5, 2.5), shape=(46, 140, 150), variety=0.0)
    ct = AxialCT(hounsfield=phantom.hounsfield, spacing_mm=phantom.spacing_mm, origin_mm=phantom.origin_mm)
    found = agreement(ct, phantom.labels == RIGHT, phantom.labels == LEFT, None, MODEL)
    assert min(found.network) > 0.95
    assert min(found.baseline) > 0.85


def test_the_table_shows_medians_and_the_lowest_per_group() -> None:
    rows = [
        Agreement(network=(n, 0.9), baseline=(0.8, 0.7), network_seconds=2.0, baseline_seconds=4.0)
        for n in (0.1, 0.95, 0.99)
    ]
    last = table({"three": rows}).splitlines()[-1]
    assert last == "| three | 0.950 (0.100) | 0.900 (0.900) | 0.800 (0.800) | 0.700 (0.700) | 2.0 | 4.0 |"
    assert table({"one": rows[:1]}).splitlines()[-1] == "| one | 0.100 | 0.900 | 0.800 | 0.700 | 2.0 | 4.0 |"
