"""Finds the regions of an analysis: a model looks for them, or somebody has drawn them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.identity import Correction
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.uid import ResultUids
from dicomnode.infer.answer import Answer, answer
from dicomnode.infer.contours.read import read_contours
from dicomnode.infer.network.session import Sessions


def find(
    inputs: Mapping[str, Sequence[Path]],
    sources: Sequence[SourceSeries],
    model: ModelSpec,
    sessions: Sessions,
    *,
    progress: Callable[[int, int], None],
    features: Mapping[str, float],
    maps: bool,
    corrections: Sequence[Correction] = (),
) -> Answer:
    """What a model of any task says about its inputs; errors as of `answer` and `read_contours`."""
    if model.contours:
        progress(0, 1)
        found = read_contours(inputs[model.contours], sources[0], corrections)
        progress(1, 1)
        return found
    return answer(sources, model, sessions, progress=progress, features=features, maps=maps)


def tracked(uids: ResultUids, found: Answer) -> ResultUids:
    """The UIDs of results, where regions that somebody has drawn keep the tracking UIDs that they came with."""
    if found.contours is None:
        return uids
    return replace(uids, tracked={**uids.tracked, **found.contours.tracking_uids})
