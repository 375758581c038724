"""Images of regions shared out to threads or processes, when there is enough to do for that."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomnode.domain.errors import ModelError
from dicomnode.measure.features.classes import Computed, intensity_features

#: What pyradiomics and the libraries under it raise on settings and regions that they cannot do with.
FAILURES = (ValueError, RuntimeError, ArithmeticError, LookupError, TypeError, MemoryError, np.linalg.LinAlgError)

#: What the classes take for one voxel of the bounding box on one core, and for an image however small. Balls in boxes
#: of 729 to 68 921 voxels took 9 to 26 ms of the processor, the GTV of LUNG1-002 in one of 262 600 0.12 s, where this
#: says 10 to 34 ms and 0.10 s.
_SECONDS_PER_VOXEL = 0.35e-6
_SECONDS_PER_IMAGE = 0.010

#: Below these a pool costs more than it can save: it took 0.9 to 1.7 s more than one process on regions of up to 2 s.
#: On two cores that others used too it never paid, not even on 8 s, so that one process is the default.
_WORTH_SECONDS = 4.0
_WORTH_SECONDS_LATER = 1.0

#: Images per process that wait for it, so that no process does, and memory is not filled with images.
_AHEAD = 2

#: The interpreter's lock is held for a seventh of the time of an image (py-spy, right lung of LUNG1-002), and what one
#: image needs of memory is needed twice.
_THREADS = 2

#: Below this a thread adds a tenth to the processor time and takes little of the clock's (balls of 30 000 voxels).
_WORTH_SECONDS_OF_THREADS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One image of one region: what `intensity_features` takes, and to whom the answer belongs.

    Attributes
    ----------
    region
        Place of the region in the caller's list.
    subject
        The region in words, for messages.
    name
        Of the image, as pyradiomics begins the names of its features.
    """

    region: int
    subject: str
    name: str
    image: NDArray[Any] = field(repr=False)
    mask: NDArray[np.bool_] = field(repr=False)
    spacing_mm: tuple[float, float, float]
    classes: tuple[str, ...]
    settings: Mapping[str, Any] = field(repr=False)


def seconds(box_voxels: int, images: int) -> float:
    """What one core is expected to take for a region."""
    return images * (_SECONDS_PER_IMAGE + box_voxels * _SECONDS_PER_VOXEL)


def computed(jobs: Iterable[Job], workers: int, expected_seconds: float) -> Iterator[tuple[Job, Computed]]:
    """Every job with its answer, in the order of the jobs, which are asked for as they are needed.

    Parameters
    ----------
    workers
        Processes; one computes here, beside the thread that makes the next image.
    expected_seconds
        Of one core for all of them; little work is done here, one after the other.

    Raises
    ------
    ModelError
        If pyradiomics fails, or a process was killed.
    """
    started = _context.cache_info().currsize > 0
    if workers > 1 and expected_seconds >= (_WORTH_SECONDS_LATER if started else _WORTH_SECONDS):
        with ProcessPoolExecutor(workers, mp_context=_context(), initializer=_leave_with_parent) as processes:
            yield from _shared(jobs, processes, workers * _AHEAD)
    elif expected_seconds >= _WORTH_SECONDS_OF_THREADS:
        with ThreadPoolExecutor(_THREADS) as threads:
            yield from _shared(jobs, threads, _THREADS - 1)
    else:
        for job in jobs:
            yield job, _compute(job)


def _shared(jobs: Iterable[Job], pool: Executor, most: int) -> Iterator[tuple[Job, Computed]]:
    """Every job with its answer; at most `most` of them wait for theirs while another is made."""
    waiting: deque[tuple[Job, Future[Computed]]] = deque()
    for job in jobs:
        waiting.append((job, pool.submit(_compute, job)))
        if len(waiting) > most:
            first, answer = waiting.popleft()
            yield first, _result(first, answer)
    while waiting:
        first, answer = waiting.popleft()
        yield first, _result(first, answer)


def _result(job: Job, answer: Future[Computed]) -> Computed:
    try:
        return answer.result()
    except BrokenProcessPool as error:
        raise ModelError(
            f"{job.subject}, image {job.name}: a process of radiomics was killed, needed memory for "
            f"{job.image.nbytes / 2**20:.0f} MiB of image and its matrices"
        ) from error


def _compute(job: Job) -> Computed:
    try:
        return intensity_features(job.image, job.mask, job.spacing_mm, job.classes, job.settings)
    except FAILURES as error:
        raise ModelError(
            f"{job.subject}, image {job.name}: pyradiomics failed with {error!s} on {int(job.mask.sum())} voxels, "
            "needed a region whose features are defined"
        ) from error


@cache
def _context() -> Any:
    """Where processes come from: never a fork of this one, whose inference runtime has threads."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__])
    return context


def _leave_with_parent() -> None:
    """A killed parent says nothing to processes that wait for work; they watch for its end themselves."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_after, args=(parent,), daemon=True).start()


def _leave_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
