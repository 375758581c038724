"""The targets by name, and what holds each input to its time and the process to its memory."""

from __future__ import annotations

import faulthandler
import logging
import resource
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TextIO

import pydicom.config
import structlog

from tests.fuzz.associations import Associations
from tests.fuzz.datasets import DataSets

#: Resident memory may grow by so much after the first inputs, whatever came: caches fill, nothing else.
_MOST_GROWTH_BYTES = 300 << 20
_WARM_INPUTS = 200


class Target(Protocol):
    """Something that must survive any input."""

    def run(self, number: int, seed: int) -> None:
        """Take the input of that number; whatever is raised is a finding."""

    def close(self) -> None:
        """End it, and look at what is left."""


TARGETS: dict[str, Callable[[Path], Target]] = {
    "associations": Associations,
    "door": lambda folder: DataSets(folder, reader=False),
    "reader": lambda folder: DataSets(folder, reader=True),
}


class Runner:
    """Runs inputs of one target.

    Parameters
    ----------
    input_seconds
        An input that takes longer ends the process with the stacks of all threads.
    told
        Where the number of each input is written before it is tried; None for nowhere.
    """

    def __init__(self, name: str, folder: Path, seed: int, input_seconds: float, told: TextIO | None = None) -> None:
        self._seed, self._seconds, self._told = seed, input_seconds, told
        _quiet()
        self._target = TARGETS[name](folder)

    def run(self, first: int, count: int) -> None:
        """Run `count` inputs from number `first` on.

        Raises
        ------
        AssertionError
            The target broke a promise, or memory grew.
        """
        settled = 0
        for number in range(first, first + count):
            if self._told is not None:
                self._told.write(f"at {number}\n")
                self._told.flush()
            faulthandler.dump_traceback_later(self._seconds, exit=True)
            try:
                self._target.run(number, self._seed)
            finally:
                faulthandler.cancel_dump_traceback_later()
            if number == first + _WARM_INPUTS:
                settled = _peak_bytes()
        self._target.close()
        grown = _peak_bytes() - settled if settled else 0
        assert grown < _MOST_GROWTH_BYTES, f"memory grew by {grown >> 20} MiB"


def _peak_bytes() -> int:
    """The most memory that was resident in this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _quiet() -> None:
    """As the node sets up its processes: values that break a rule warn nobody, and nothing is printed."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
