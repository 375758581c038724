"""Reads the series that feed a model, in the unit that its bundle asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.identity import Correction, correct
from dicomnode.domain.model import InputSpec, ModelSpec
from dicomnode.infer.quality.units import asked
from dicomnode.infer.read.suv import UNITS
from dicomnode.infer.read.volume import read_series

_BODY_WEIGHT = "bw"


def read(
    inputs: Mapping[str, Sequence[Path]],
    model: ModelSpec,
    progress: Callable[[int, int], None],
    corrections: Sequence[Correction] = (),
) -> list[SourceSeries]:
    """The series in the order of the model's inputs.

    Parameters
    ----------
    inputs
        Name of every input of the model → the instances that feed it.
    progress
        Told (series read, series in all).
    corrections
        Which the headers are given.

    Raises
    ------
    Unsuitable
        If a series cannot be read.
    """
    sources = []
    for number, fed in enumerate(model.images, start=1):
        # Before it is asked whether all images are of one patient: an archive may have corrected, and sent, only some.
        amend = partial(correct, corrections=corrections) if corrections else None
        sources.append(read_series(inputs[fed.name], suv=_suv(fed, model), amend=amend))
        progress(number, len(model.images))
    return sources


def subject(sources: Sequence[SourceSeries]) -> str:
    """How messages call them."""
    return "series " + " and ".join(str(source.datasets[0].get("SeriesInstanceUID", "")) for source in sources)


def remarks(sources: Sequence[SourceSeries], model: ModelSpec) -> Iterator[str]:
    """What was unusual about the series, with the name of the input where there are several."""
    for fed, source in zip(model.images, sources, strict=True):
        for text in source.warnings:
            yield f"{fed.name}: {text}" if len(sources) > 1 else text


def _suv(fed: InputSpec, model: ModelSpec) -> str:
    """The kind of SUV that the limit `units` of an input asks for; PET images become one in any case."""
    return next((kind for unit in asked(fed, model) for kind, code in UNITS.items() if code == unit), _BODY_WEIGHT)
