"""Probabilities of logits are the same whether they are made at once or block by block."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax as reference

from dicomnode.infer.network import activation


@pytest.mark.parametrize("shape", [(2, 3, 5, 6, 7), (1, 4, 9, 10), (3, 2), (1, 400, 2, 2, 2)])
def test_softmax_of_blocks_is_softmax(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.random.default_rng(0).normal(0, 5, shape).astype(np.float32)
    whole = activation.softmax(logits.copy())
    monkeypatch.setattr(activation, "BLOCK_VALUES", 64)
    found = logits.copy()
    assert activation.softmax(found) is found
    assert np.array_equal(found, whole)
    assert np.allclose(found, reference(logits.astype(np.float64), axis=1), atol=1e-6)


def test_logits_that_lie_apart_in_memory_are_overwritten_too() -> None:
    every = np.random.default_rng(1).normal(size=(1, 6, 4, 5, 6)).astype(np.float32)
    expected = activation.softmax(every[:, ::2].copy())
    part = every[:, ::2]
    activation.softmax(part)
    assert np.array_equal(every[:, ::2], expected)
