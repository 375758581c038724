"""Holds an imported bundle against its source: the same input through both runtimes, then the whole way once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from dicomnode.domain.errors import ModelError
from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.model import ModelSpec, Weights
from dicomnode.infer.answer import answer
from dicomnode.infer.network.ensemble import Ensemble
from dicomnode.infer.network.session import Sessions
from dicomnode.train.phantoms import thorax

Floats = npt.NDArray[np.float32]

#: What two runtimes may differ by, as a share of the largest number of the answer: what float16, in which answers are
#: blended, resolves (2⁻¹¹ of a number).
LARGEST_SHARE = 2**-11

#: Seed of the input, so that the printed difference can be had again.
_SEED = 20261121


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far two runtimes are apart.

    Attributes
    ----------
    largest
        Largest absolute difference of any number of the answer.
    scale
        Largest absolute number of the source's answer.
    """

    largest: float
    scale: float

    def __str__(self) -> str:
        return f"largest difference {self.largest:.2g} at numbers up to {self.scale:.3g}"


def compare(source: Callable[[Floats], Floats], spec: ModelSpec, weights: Weights, sessions: Sessions) -> Difference:
    """Run one tile of noise of mean 0 and deviation 1, as networks take images, through the source and onnxruntime.

    Parameters
    ----------
    source
        The network in its own runtime: (batch, channel, slice, row, column) to the same axes.

    Raises
    ------
    ModelError
        If the answers differ by more than rounding explains.
    """
    tile = np.random.default_rng(_SEED).standard_normal((1, spec.channels, *spec.tile.shape)).astype(np.float32)
    wanted = source(tile.copy())
    (found,) = Ensemble(spec, sessions).run(weights, tile)
    if found.shape != wanted.shape:
        raise ModelError(f"{weights.onnx}: answers with the shape {found.shape}, needed the source's {wanted.shape}")
    difference = Difference(largest=float(np.abs(found - wanted).max()), scale=float(np.abs(wanted).max()))
    if not difference.largest <= LARGEST_SHARE * max(difference.scale, 1.0):
        raise ModelError(f"{weights.onnx}: {difference} from its source, needed {LARGEST_SHARE:.1g} of that at most")
    return difference


def phantom(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], *, hounsfield: bool) -> Volume:
    """A thorax, axial; without `hounsfield` its values are raised so that air is 0, as in MR."""
    made = thorax(1, spacing_mm=spacing_mm, shape=shape)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
    affine[:, 3] = (*made.origin_mm, 1)
    array = made.hounsfield.astype(np.float32)
    if not hounsfield:
        array = np.maximum(array + 1000, 0)
    return Volume(array=array, affine=affine, coordinate_system="PATIENT")


def run_through(spec: ModelSpec, sessions: Sessions, volume: Volume) -> tuple[str, ...]:
    """Run the whole bundle on a volume for every input, and name the labels that it finds there.

    Raises
    ------
    Unsuitable, ModelError
        If the bundle does not run.
    """
    source: Any = SourceSeries(volume=volume, planes=())
    found = answer([source] * len(spec.images), spec, sessions).segmentation
    present = {int(number) for number in np.unique(found.volume.array)}
    return tuple(segment.label for segment in spec.segments if segment.number in present)
