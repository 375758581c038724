"""Keeps the probabilities behind a mask on the voxels of the source, in the steps in which they are sent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from dicomnode.domain.finding import ProbabilityMap
from dicomnode.domain.model import ModelSpec, Segment
from dicomnode.infer.network.fit import label_count

#: Half the space of float32, and finer than the float16 in which tiles are blended.
STEPS = np.dtype(np.uint16)
_MOST = np.iinfo(STEPS).max


class Maps:
    """Probabilities of every label that the network tells apart, on the grid of a volume."""

    def __init__(self, spec: ModelSpec, volume: Volume) -> None:
        self._spec = spec
        self._volume = volume
        self._steps = np.zeros((label_count(spec), *volume.spatial_shape), dtype=STEPS)

    def take(self, part: slice, probabilities: npt.NDArray[np.float32]) -> None:
        """Take the probabilities of some source slices, (channel, slice, row, column), channel 0 the background."""
        for kept, found in zip(self._steps, probabilities[1:], strict=True):
            kept[part] = np.rint(np.clip(found, 0, 1) * np.float32(_MOST))

    def found(self) -> tuple[ProbabilityMap, ...]:
        """What was taken, label by label."""
        by_number = {segment.number: segment for segment in self._spec.segments}
        return tuple(
            ProbabilityMap(
                segment=self._named(by_number[number]), volume=self._volume.with_array(steps), slope=1 / _MOST
            )
            for number, steps in enumerate(self._steps, start=1)
        )

    def _named(self, segment: Segment) -> Segment:
        """The segment, called by its type where a step divides it: the channel then says nothing of a single piece."""
        divided = {number for step in self._spec.post if step.name == "lesions" for number in step.options["segments"]}
        return replace(segment, label=segment.type.meaning) if segment.number in divided else segment
