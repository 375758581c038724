"""Made masks on series of every kind, and what an analysis would know that had found them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Findings, ProbabilityMap, Provenance, Segmentation, SourceSeries
from dicomnode.domain.model import InputSpec, ModelSpec, ModelStatus, Segment, Task, TileSpec, Weights
from dicomnode.domain.network import Peer
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.encode import Output, encoded
from dicomnode.flow.takers import Taker
from dicomnode.measure import intensity, size

_ABNORMAL = Code(value="49755003", scheme="SCT", meaning="Morphologically Abnormal Structure")

SEGMENTS = (
    Segment(
        number=1,
        label="Mass",
        category=_ABNORMAL,
        type=Code(value="4147007", scheme="SCT", meaning="Mass"),
        color_rgb=(197, 165, 145),
    ),
    Segment(
        number=2,
        label="Nodule",
        category=_ABNORMAL,
        type=Code(value="27925004", scheme="SCT", meaning="Nodule"),
        color_rgb=(150, 120, 200),
    ),
)

MODEL = ModelSpec(
    name="made",
    version="1.0.0",
    title="Made masks",
    status=ModelStatus.DEMO,
    task=Task.SEGMENT,
    manufacturer="tests",
    licence="Apache-2.0",
    folder=Path("models/made"),
    weights=(Weights(onnx="model.onnx", sha256="ab" * 32),),
    recipe="cd" * 32,
    inputs=(InputSpec(name="image", conditions=()),),
    prepare=(),
    tile=TileSpec(shape=(16, 64, 64), overlap=0.5, batch=1),
    activation="softmax",
    segments=SEGMENTS,
)

PROVENANCE = Provenance(
    node_version="0.1.0",
    station="DICOMNODE",
    rule="made",
    model=MODEL,
    revision=1,
    run=1,
    started_at=datetime(2026, 11, 21, 8, 0, 0, tzinfo=UTC),
)


def uids(source: SourceSeries) -> ResultUids:
    """UIDs of the results on a series."""
    study = str(source.datasets[0].StudyInstanceUID)
    return ResultUids(study_instance_uid=study, rule="made", input_digest="1" * 64, recipe_digest="2" * 64, run=1)


def labels(shape: Sequence[int]) -> npt.NDArray[np.uint8]:
    """An ellipsoid off the middle and a small box that no symmetry maps to it, on any grid of 2 or more slices."""
    count = np.array(shape, dtype=float)
    grid = np.indices(tuple(shape), sparse=True)
    # Radii in voxels: at least one row and column, so that small images have both, too.
    middle, radius = count * (0.45, 0.4, 0.35), np.maximum(count * (0.3, 0.25, 0.2), 1.1)
    away = sum(((axis - at) / far) ** 2 for axis, at, far in zip(grid, middle, radius, strict=True))
    array: npt.NDArray[np.uint8] = np.zeros(tuple(shape), dtype=np.uint8)
    array[np.asarray(away) < 1] = 1
    low = (count * (0.3, 0.75, 0.7)).astype(int)
    high = np.maximum(low + (count * (0.3, 0.1, 0.15)).astype(int), low + 1)
    array[tuple(slice(one, other) for one, other in zip(low, high, strict=True))] = 2
    return array


def findings_on(source: SourceSeries) -> Findings:
    """The made mask on a series, measured as the node measures."""
    array = labels(source.volume.spatial_shape)
    if source.tilt is not None:
        # What lies outside the images cannot be found in them.
        array *= _covered(source)
    mask = Segmentation(volume=source.volume.with_array(array), segments=SEGMENTS)
    modality = str(source.datasets[0].Modality)
    values = intensity.measure(source.volume, mask, modality, source.unit).measurements
    return Findings(
        source=source,
        segmentation=mask,
        measurements=(*size.measure(source.volume, mask).measurements, *values),
        maps=tuple(probability(source, array, segment) for segment in SEGMENTS),
        warnings=source.warnings,
    )


def probability(source: SourceSeries, array: npt.NDArray[np.uint8], segment: Segment) -> ProbabilityMap:
    """High where the segment is and low elsewhere, and nowhere the same as in the next row."""
    steps = np.where(array == segment.number, 60000, 6000).astype(np.uint16)
    steps += np.arange(steps.shape[1], dtype=np.uint16)[:, None]
    return ProbabilityMap(segment=segment, volume=source.volume.with_array(steps), slope=1 / 65535)


def _covered(source: SourceSeries) -> npt.NDArray[np.uint8]:
    """Where the images of a tilted stack lie in its upright volume."""
    assert source.tilt is not None
    array: npt.NDArray[np.uint8] = np.zeros(source.volume.spatial_shape, dtype=np.uint8)
    rows, columns = source.tilt.shape
    for slice_, (row, column) in zip(array, source.tilt.starts, strict=True):
        slice_[round(row) : round(row) + rows, round(column) : round(column) + columns] = 1
    return array


def taker(wanted: Sequence[str]) -> Taker:
    """A destination that lists everything and was never asked, so that reports come in all their forms."""
    return Taker(peer=Peer(name="PACS", aet="PACS", host="127.0.0.1", port=104, outputs=tuple(wanted)))


def results_on(source: SourceSeries, wanted: Sequence[str]) -> Iterator[Output]:
    """The objects that the node makes of the made mask and its probabilities."""
    yield from encoded(findings_on(source), wanted, PROVENANCE, uids(source), [taker(wanted)])
