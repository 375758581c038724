"""A process may open what its connections need, as far as the system lets it."""

from __future__ import annotations

import resource

import pytest
from structlog.testing import capture_logs

from dicomnode.receive.descriptors import require


def test_a_soft_limit_is_raised_as_far_as_needed_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"now": (1024, 524288)}
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, both: limits.update(now=both))
    with capture_logs() as logs:
        assert require(connections=50, associations=25) == 1024
        assert require(connections=1200, associations=600) == 3 * 1200 + 2 * 600 + 256
        assert limits["now"] == (5056, 524288)
        assert logs == []
        assert require(connections=10**6, associations=10) == 524288
    assert [line["allowed"] for line in logs] == [524288]


@pytest.mark.parametrize("both", [(resource.RLIM_INFINITY, resource.RLIM_INFINITY), (1 << 20, 1 << 20)])
def test_a_limit_that_is_high_enough_is_left_alone(monkeypatch: pytest.MonkeyPatch, both: tuple[int, int]) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: both)
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, _both: pytest.fail("nothing is to be set"))
    assert require(connections=1200, associations=600) == both[0]
