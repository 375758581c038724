"""What somebody can cause at will is told once in a while, with how often it happened."""

from __future__ import annotations

from dicomnode.receive import throttle
from dicomnode.receive.throttle import Throttle


class Now:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_the_first_is_told_at_once_and_the_next_after_a_minute_with_their_number() -> None:
    now = Now()
    it = Throttle(60, now)
    assert [it.times("10.0.0.9") for _ in range(5)] == [1, 0, 0, 0, 0]
    now.seconds = 59
    assert it.times("10.0.0.9") == 0
    now.seconds = 61
    assert it.times("10.0.0.9") == 6
    assert it.times("10.0.0.9") == 0


def test_one_caller_does_not_hide_another() -> None:
    it = Throttle(60, Now())
    assert (it.times("10.0.0.9"), it.times("10.0.0.10")) == (1, 1)


def test_a_flood_of_addresses_takes_no_memory() -> None:
    it = Throttle(60, Now())
    for number in range(3 * throttle._MOST):
        it.times(str(number))
    assert len(it._told) == throttle._MOST
