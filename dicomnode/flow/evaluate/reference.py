"""What a person has drawn on a case, as masks on the grid on which the model answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Segmentation, SourceSeries
from dicomnode.domain.model import Segment
from dicomnode.flow.evaluate.targets import Target, named
from dicomnode.infer.contours.read import read_contours

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The regions of all objects of a case that could be read.

    Attributes
    ----------
    remarks
        What was unusual about them, and why an object could not be read.
    """

    layers: tuple[Segmentation, ...] = field(repr=False)
    shape: tuple[int, ...]
    remarks: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What the regions are called."""
        return tuple(dict.fromkeys(segment.label for layer in self.layers for segment in layer.segments))

    def of(self, target: Target) -> tuple[tuple[str, Mask], ...]:
        """The regions that stand for a target, with their names."""
        return tuple(self._masks(target.drawn_as))

    def union(self, patterns: Sequence[str]) -> Mask:
        """The voxels of all regions with such names."""
        found = np.zeros(self.shape, dtype=np.bool_)
        for _name, mask in self.each(patterns):
            found |= mask
        return found

    def each(self, patterns: Sequence[str]) -> tuple[tuple[str, Mask], ...]:
        """The regions with such names."""
        return tuple(self._masks(lambda segment: named(segment.label, patterns)))

    def _masks(self, wanted: Callable[[Segment], bool]) -> Iterator[tuple[str, Mask]]:
        for layer in self.layers:
            for segment in layer.segments:
                if wanted(segment):
                    yield segment.label, layer.volume.array == segment.number


def read_reference(paths: Sequence[Path], source: SourceSeries) -> Reference:
    """The regions of all objects that fit the images.

    Raises
    ------
    Unsuitable
        If there is no object, or none that can be read.
    """
    if not paths:
        raise Unsuitable("no reference: no SEG or RTSTRUCT of a person or another device in this study")
    layers: list[Segmentation] = []
    remarks: list[str] = []
    for path in paths:
        try:
            found = read_contours([path], source)
        except Unsuitable as error:
            remarks.append(str(error))
            continue
        layers += found.segmentation.layers
        remarks += found.warnings
    if not layers:
        raise Unsuitable(f"no reference: {'; '.join(remarks)}")
    return Reference(layers=tuple(layers), shape=source.volume.array.shape, remarks=tuple(dict.fromkeys(remarks)))
