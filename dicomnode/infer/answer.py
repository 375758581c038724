"""Runs a model of any task on its inputs: cascade, preparation, network, steps after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import ModelError, Unsuitable
from dicomnode.domain.finding import (
    Classification,
    Contours,
    Detection,
    Measurement,
    ProbabilityMap,
    Segmentation,
    SourceSeries,
)
from dicomnode.domain.model import Cascade, ModelSpec, Task
from dicomnode.infer.certainty import certainties, rated
from dicomnode.infer.classify import classified
from dicomnode.infer.demand import require_memory
from dicomnode.infer.detect import detected
from dicomnode.infer.maps import Maps
from dicomnode.infer.mask import mask
from dicomnode.infer.network.ensemble import Ensemble
from dicomnode.infer.network.plan import available_bytes
from dicomnode.infer.network.runtime import memory_is_short
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.pool import pooled
from dicomnode.infer.post.tidy import boxes_of, tidy
from dicomnode.infer.prepare.grid import Box
from dicomnode.infer.prepare.pipeline import prepare
from dicomnode.infer.score import scored

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guidance:
    """What a coarse model tells the fine one: where to look, in indices of the first source, or labels on its grid."""

    box: Box | None = None
    labels: npt.NDArray[np.uint8] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model says about its inputs.

    Attributes
    ----------
    segmentation
        On the grid of the first input; empty and without segments where the task is not to segment.
    maps
        Probabilities behind the mask, where they were asked for.
    detections
        By falling score.
    measurements
        The scores of a model that gives numbers, which concern the whole series (segment 0); how certain each lesion
        is, where the model rates them.
    warnings
        What a reader has to know: nowhere to look, pieces left out, a graphics card that failed.
    contours
        Where the regions come from if no model found them (`contours.read`).
    """

    segmentation: Segmentation
    maps: tuple[ProbabilityMap, ...] = ()
    detections: tuple[Detection, ...] = ()
    classifications: tuple[Classification, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    warnings: tuple[str, ...] = ()
    contours: Contours | None = None


def answer(
    sources: Sequence[SourceSeries],
    spec: ModelSpec,
    sessions: Sessions,
    *,
    progress: Progress | None = None,
    features: Mapping[str, float] | None = None,
    maps: bool = False,
) -> Answer:
    """Run a model.

    Parameters
    ----------
    sources
        In the order of `spec.inputs`; results lie on the grid of the first. `quality.gate` says whether they suit.
    progress
        Told (tiles done, tiles in all); the coarse model of a cascade counts first and on its own.
    features
        Numbers that the model takes beside the images, by their names in `spec.features`.
    maps
        Whether the probabilities behind a mask are kept: two bytes for every voxel of the source and every label.

    Raises
    ------
    Unsuitable
        If the series cannot be prepared, holds no body, a feature is missing, the coarse model of a cascade finds
        nothing to look at, or memory does not suffice. Nothing is called absent that no network looked for.
    ModelError
        If a network is not the declared one or fails.
    """
    try:
        return _answered(sources, spec, sessions, progress, features, maps=maps)
    except (MemoryError, RuntimeError) as error:
        # SimpleITK has no other class for a memory that it does not get.
        if not memory_is_short(error):
            raise
        available = available_bytes()
        rest = "" if available is None else f"; {available / 1024**3:.1f} GiB are left now"
        raise Unsuitable(f"model {spec.name}: memory ran out, needed more for a series of this size{rest}") from error


def _answered(
    sources: Sequence[SourceSeries],
    spec: ModelSpec,
    sessions: Sessions,
    progress: Progress | None,
    features: Mapping[str, float] | None,
    *,
    maps: bool,
) -> Answer:
    if len(sources) != len(spec.images):
        names = ", ".join(each.name for each in spec.images)
        raise ModelError(f"model {spec.name}: {len(sources)} series, needed one for each of {names}")
    if spec.contours:
        raise ModelError(f"model {spec.name}: its regions come from [contours], needed a network that finds them")
    if spec.signature is not None and spec.cascade is not None:
        # The score is computed from what is measured in these regions.
        return _answered(_fed(sources, spec, spec.cascade), spec.cascade.model, sessions, progress, None, maps=maps)
    # Before the coarse model runs, so that what is missing is told at once.
    ensemble = Ensemble(spec, sessions, features)
    guided = _Guidance()
    if spec.cascade is not None:
        guided = _guidance(sources, spec, spec.cascade, sessions, progress)
    found = _found(sources, ensemble, guided, progress, maps=maps)
    # A coarse model that fell back to the CPU said so already.
    told = tuple(dict.fromkeys((*guided.warnings, *ensemble.warnings, *found.warnings)))
    return replace(found, warnings=told)


def _found(
    sources: Sequence[SourceSeries], ensemble: Ensemble, guided: _Guidance, progress: Progress | None, *, maps: bool
) -> Answer:
    """The answer to the task, as the coarse model guides it."""
    spec, volumes = ensemble.spec, [source.volume for source in sources]
    rates = bool(rated(spec))
    require_memory(volumes, spec, guided.box, maps=maps or rates)
    if spec.task is Task.SEGMENT:
        kept = Maps(spec, volumes[0]) if maps or rates else None
        labels = mask(volumes, ensemble, guided.box, progress, kept, guided.labels)
        slices_mm, rows_mm, columns_mm = volumes[0].spacing
        affine = np.asarray(volumes[0].affine, dtype=np.float64)
        warnings = tidy(labels, spec.post, (slices_mm, rows_mm, columns_mm), spec.segments, affine)
        segmentation = Segmentation(volume=volumes[0].with_array(labels), segments=spec.segments)
        found = kept.found() if kept else ()
        return Answer(
            segmentation=segmentation,
            maps=found if maps else (),
            measurements=certainties(labels, found, spec) if rates else (),
            warnings=warnings,
        )
    empty = _empty(sources[0], spec)
    prepared = prepare(volumes, spec, guided.box, guided.labels)
    if spec.task is Task.DETECT:
        detections, left_out = detected(prepared, ensemble, progress)
        return Answer(segmentation=empty, detections=detections, warnings=left_out)
    vector = pooled(prepared.array, ensemble, progress)
    if spec.task is Task.CLASSIFY:
        return Answer(segmentation=empty, classifications=(classified(vector, spec),))
    return Answer(segmentation=empty, measurements=scored(vector, spec))


def _guidance(
    sources: Sequence[SourceSeries], spec: ModelSpec, cascade: Cascade, sessions: Sessions, progress: Progress | None
) -> _Guidance:
    """Run the coarse model.

    Raises
    ------
    Unsuitable
        If it shall say where to look, and that is nowhere.
    """
    coarse = cascade.model
    found = answer(_fed(sources, spec, cascade), coarse, sessions, progress=progress)
    volume = found.segmentation.volume
    if cascade.channels:
        return _Guidance(labels=volume.array, warnings=found.warnings)
    sought = [one for one in coarse.segments if one.number in cascade.segments or not cascade.segments]
    present = boxes_of(volume.array)
    boxes = [present[one.number] for one in sought if one.number in present]
    if not boxes:
        labels = " and ".join(one.label for one in sought)
        raise Unsuitable(f"model {spec.name}: {labels} not found by {coarse.name}, so there was nowhere to look")
    sides = []
    for axis, (length, step_mm) in enumerate(zip(volume.spatial_shape, volume.spacing, strict=True)):
        margin = int(np.ceil(cascade.margin_mm / step_mm))
        first = min(box[axis].start for box in boxes) - margin
        last = max(box[axis].stop for box in boxes) + margin
        sides.append((max(0, first), min(length, last)))
    return _Guidance(box=(sides[0], sides[1], sides[2]), warnings=found.warnings)


def _fed(sources: Sequence[SourceSeries], spec: ModelSpec, cascade: Cascade) -> list[SourceSeries]:
    """The series that feed the coarse model."""
    by_name = {each.name: source for each, source in zip(spec.images, sources, strict=True)}
    return [by_name[each.name] for each in cascade.model.inputs]


def _empty(source: SourceSeries, spec: ModelSpec) -> Segmentation:
    """A mask without a voxel; its segments are those of the task."""
    labels = np.zeros(source.volume.spatial_shape, dtype=np.uint8)
    segments = spec.segments if spec.task is Task.SEGMENT else ()
    return Segmentation(volume=source.volume.with_array(labels), segments=segments)
