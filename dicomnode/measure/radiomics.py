"""Radiomics features of chosen segments with the values of pyradiomics on the whole image, coded after IBSI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from highdicom import Volume
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.domain.errors import ModelError
from dicomnode.domain.finding import FeatureSet, Segmentation
from dicomnode.domain.measuring import RadiomicsSpec
from dicomnode.domain.model import Segment
from dicomnode.measure import codes
from dicomnode.measure.features import classes, filters, standard
from dicomnode.measure.features.coded import ORIGINAL
from dicomnode.measure.features.frame import Box, Frame, normalisation
from dicomnode.measure.features.plan import Plan, Refusal, perturbed, plan
from dicomnode.measure.features.reported import settings_text
from dicomnode.measure.features.results import Context, Gathered, feature_set, merged_settings, refused
from dicomnode.measure.features.work import FAILURES, Job, computed, seconds


def measure(
    volume: Volume,
    segmentation: Segmentation,
    segment_numbers: Sequence[int],
    modality: str = "CT",
    unit: str = "",
    spec: RadiomicsSpec | None = None,
    workers: int = 1,
    batch: str | None = None,
) -> tuple[FeatureSet, ...]:
    """Features of the named segments that are present, one set for each in the order of the segmentation.

    Every value equals that of pyradiomics on the whole image to the last bit, but for those of LoG
    (`filters.LOG_TOLERANCE`) and the area and volume of a large mesh (`shape.LinearShape`), unless the bundle asks for
    `ibsi`. Measurements with IBSI's code follow its definition of kurtosis and axes (`coded`). A region without
    features, such as a single voxel, has a set that says why.

    Parameters
    ----------
    volume
        Rescaled intensities on the grid of `segmentation`.
    segment_numbers
        Numbers of the segments to describe.
    modality, unit
        Decide the unit of features that carry the image's own; `unit` is `SourceSeries.unit`.
    spec
        What the bundle asks for; the original image with bins of 25 when None.
    workers
        Processes to share the work out to, where there is enough of it.
    batch
        Of the series, for harmonisation.

    Raises
    ------
    ModelError
        If pyradiomics fails on a region that is fit for it, the bundle asks for what pyradiomics does not have, or the
        mask does not lie on the grid of `volume`.
    """
    spec = spec or RadiomicsSpec()
    chosen = _chosen(spec)
    settings = merged_settings(classes.defaults(), spec)
    if spec.ibsi:
        whole = codes.image_unit(modality, unit) == codes.HOUNSFIELD_UNIT
        settings = standard.settings_of(settings, spec.outliers_sigma, whole)
    z, y, x = (float(length) for length in volume.spacing)
    context = Context(
        modality=modality,
        unit=unit,
        batch=batch,
        spec=spec,
        settings_text=settings_text(spec, settings, chosen, (z, y, x)),
    )
    tasks = list(_tasks(volume, segmentation, set(segment_numbers), spec, settings))
    gathered = _gathered(tasks, chosen, spec, workers)
    found = []
    for number, (task, answer) in enumerate(zip(tasks, gathered, strict=True)):
        if task.variant:
            continue
        if isinstance(task.plan, Refusal):
            found.append(refused(task.segment.number, task.plan, context))
            continue
        following = range(number + 1, number + 1 + task.variants)
        found.append(
            feature_set(task.segment.number, task.plan, answer, [gathered[other] for other in following], context)
        )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """One region to compute: a segment's own, with `variants` changed ones behind it, or such a `variant`."""

    segment: Segment
    plan: Plan | Refusal
    variant: bool = False
    variants: int = 0


def _tasks(
    volume: Volume, segmentation: Segmentation, wanted: set[int], spec: RadiomicsSpec, settings: Mapping[str, Any]
) -> Iterator[_Task]:
    z, y, x = (float(length) for length in volume.spacing)
    found = list(_regions(volume, segmentation, wanted))
    normal = normalisation(volume.array, settings) if found else None
    for segment, mask, box in found:
        frame = Frame(array=volume.array, box=box, mask=mask, spacing_mm=(z, y, x), normal=normal)
        own = _planned(segment, frame, spec, settings)
        others = []
        if spec.perturb and isinstance(own, Plan):
            changed = [_planned(segment, other, spec, settings) for other in perturbed(frame)]
            others = [other for other in changed if isinstance(other, Plan)]
        yield _Task(segment=segment, plan=own, variants=len(others))
        yield from (_Task(segment=segment, plan=other, variant=True) for other in others)


def _regions(
    volume: Volume, segmentation: Segmentation, wanted: set[int]
) -> Iterator[tuple[Segment, NDArray[np.bool_], Box]]:
    """The wanted segments that are present, each with its mask in its bounding box, and that box."""
    labels = segmentation.volume.array
    if labels.shape != volume.spatial_shape:
        raise ModelError(f"segmentation: grid of {labels.shape} voxels, needed the source's {volume.spatial_shape}")
    occupied = np.flatnonzero(labels.max(axis=(1, 2)))
    if not len(occupied) or not wanted:
        return
    # Looking for boxes takes ten times longer than telling the slices that hold anything.
    first = int(occupied[0])
    boxes = ndimage.find_objects(labels[first : int(occupied[-1]) + 1])
    for segment in segmentation.segments:
        if segment.number not in wanted or segment.number > len(boxes) or boxes[segment.number - 1] is None:
            continue
        slices, rows, columns = boxes[segment.number - 1]
        box = (slice(slices.start + first, slices.stop + first), rows, columns)
        yield segment, labels[box] == segment.number, box


def _planned(segment: Segment, frame: Frame, spec: RadiomicsSpec, settings: Mapping[str, Any]) -> Plan | Refusal:
    try:
        return plan(frame, spec, settings)
    except FAILURES as error:
        raise ModelError(f"{_subject(segment)}: preparing its image for radiomics failed with {error!s}") from error


def _gathered(tasks: Sequence[_Task], chosen: tuple[str, ...], spec: RadiomicsSpec, workers: int) -> list[Gathered]:
    gathered = [Gathered() for _ in tasks]
    of_shape, of_intensity = "shape" in chosen, tuple(name for name in chosen if name != "shape")
    expected = 0.0
    for task, answers in zip(tasks, gathered, strict=True):
        if isinstance(task.plan, Refusal):
            continue
        expected += seconds(task.plan.intensity.mask.size, _images(spec))
        if of_shape:
            answers.add(ORIGINAL, classes.shape_features(task.plan.shape.mask, task.plan.shape.spacing_mm))
    if of_intensity:
        for job, found in computed(_jobs(tasks, gathered, of_intensity, spec), workers, expected):
            gathered[job.region].add(job.name, found)
    return gathered


def _jobs(
    tasks: Sequence[_Task], gathered: Sequence[Gathered], chosen: tuple[str, ...], spec: RadiomicsSpec
) -> Iterator[Job]:
    """Every image of every region that can be made; of the others `gathered` learns why."""
    for number, (task, answers) in enumerate(zip(tasks, gathered, strict=True)):
        if isinstance(task.plan, Refusal):
            continue
        frame = task.plan.intensity
        for image in _made(task.segment, frame, spec, task.plan.settings):
            if image.array is None:
                answers.missing[image.name] = codes.NOT_ATTEMPTED, image.missing
            elif not np.isfinite(image.array[frame.mask]).all():
                answers.missing[image.name] = codes.NOT_A_NUMBER, "the filter met voxels without a finite intensity"
            else:
                yield Job(
                    region=number,
                    subject=_subject(task.segment),
                    name=image.name,
                    image=image.array,
                    mask=frame.mask,
                    spacing_mm=frame.spacing_mm,
                    classes=chosen,
                    settings=image.settings,
                )


def _made(
    segment: Segment, frame: Frame, spec: RadiomicsSpec, settings: Mapping[str, Any]
) -> Iterator[filters.Filtered]:
    try:
        yield from filters.images(frame, spec.image_types, settings)
    except FAILURES as error:
        raise ModelError(f"{_subject(segment)}: filtering its image for radiomics failed with {error!s}") from error


def _chosen(spec: RadiomicsSpec) -> tuple[str, ...]:
    """The feature classes in the order of pyradiomics."""
    unknown = [name for name in spec.classes if name not in classes.names()]
    unknown += [name for name in spec.image_types if name not in filters.IMAGE_TYPES]
    if unknown:
        raise ModelError(
            f"radiomics: {', '.join(unknown)} asked for, needed classes of {', '.join(classes.names())} and image "
            f"types of {', '.join(filters.IMAGE_TYPES)}"
        )
    return tuple(name for name in classes.names() if name in spec.classes or not spec.classes)


def _images(spec: RadiomicsSpec) -> int:
    """How many images there are to compute."""
    found = len(spec.image_types)
    if "LoG" in spec.image_types:
        found += len(spec.image_types["LoG"].get("sigma", ())) - 1
    if "Wavelet" in spec.image_types:
        # Eight parts of the last level, seven of every other.
        found += 7 * int(spec.image_types["Wavelet"].get("level", 1))
    return found


def _subject(segment: Segment) -> str:
    return f"segment {segment.number} ({segment.label})"
