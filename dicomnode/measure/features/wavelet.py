"""Stationary wavelet transform of a box of an image, with the values of pyradiomics' filter of that name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from radiomics import imageoperations

from dicomnode.measure.features.frame import Box

Array = NDArray[Any]

#: pyradiomics brings it, and it carries no type information.
_pywt: Any = imageoperations.pywt

#: pyradiomics' own.
_WAVELET = "coif1"

#: What is transformed at once stays in a core's cache: a lung took 0.17 s so, and 0.35 s as a whole.
_BYTES_AT_ONCE = 2**17


def margin(level: int = 1, start_level: int = 0, wavelet: Any = None) -> int:
    """How many voxels on each side of a voxel its coefficients depend on, at most."""
    return (level + start_level) * int(_wavelet(wavelet).dec_len) // 2


def wavelet_images(
    block: Array, inner: Box, axes: Sequence[int], level: int = 1, start_level: int = 0, wavelet: Any = None
) -> Iterator[tuple[str, Array]]:
    """What `imageoperations.getWaveletImage` yields of a block, each image with its name, but of a box of it alone.

    The transform goes along one axis after the other, each time along lines, so that an axis that is done needs no
    more than the box.

    Parameters
    ----------
    block
        (slice, row, column).
    inner
        The box in it.
    axes
        Of `block`, in the order in which they are transformed.
    level, start_level, wavelet
        As pyradiomics' settings of these names.

    Yields
    ------
    tuple
        pyradiomics' name, such as `wavelet-LLH`, and the coefficients in the box.
    """
    filters = _wavelet(wavelet)
    # The transform asks for an even number along every axis; pyradiomics puts the first voxel behind the last.
    approximation = np.pad(block, [(0, length % 2) for length in block.shape], "wrap")
    whole = tuple(slice(0, length) for length in approximation.shape)
    lowest = "L" * len(axes)
    for number in range(1 - start_level, level + 1):
        kept = inner if number == level else whole
        approximation = approximation[tuple(slice(None) if axis in axes else kept[axis] for axis in range(3))]
        following = approximation
        for name, found in _parts("", approximation, kept, axes, filters):
            if name == lowest:
                following = found
            elif number > 0:
                yield f"{_prefix(number)}-{name}", np.ascontiguousarray(found if kept is inner else found[inner])
        approximation = following
    transformed = approximation if level + start_level else approximation[inner]
    yield f"{_prefix(level)}-{lowest}", np.ascontiguousarray(transformed)


def _prefix(level: int) -> str:
    return "wavelet" if level == 1 else f"wavelet{level}"


def _parts(
    name: str, array: Array, kept: Sequence[slice], axes: Sequence[int], wavelet: Any
) -> Iterator[tuple[str, Array]]:
    """The parts of one level, low before high as pywt has them, none before it is asked for."""
    if not axes:
        yield name, array
        return
    axis = axes[0]
    low, high = _split(array, axis, kept[axis], wavelet)
    yield from _parts(name + "L", low, kept, axes[1:], wavelet)
    del low
    yield from _parts(name + "H", high, kept, axes[1:], wavelet)


def _split(array: Array, axis: int, kept: slice, wavelet: Any) -> tuple[Array, Array]:
    """Low and high part of an array along an axis, of which a part is kept."""
    across = 1 if axis == 0 else 0
    shape = list(array.shape)
    shape[axis] = kept.stop - kept.start
    kind = _pywt.swt(np.zeros(2, dtype=array.dtype), wavelet, level=1)[0][0].dtype
    low, high = np.empty(shape, dtype=kind), np.empty(shape, dtype=kind)
    step = max(1, _BYTES_AT_ONCE * array.shape[across] // array.nbytes)
    for start in range(0, array.shape[across], step):
        at = (slice(None),) * across + (slice(start, start + step),)
        # Laid along memory, a line takes a third of the time.
        lines = np.ascontiguousarray(array[at].swapaxes(axis, -1))
        ((lows, highs),) = _pywt.swt(lines, wavelet, level=1, axis=-1)
        low[at] = lows[..., kept].swapaxes(axis, -1)
        high[at] = highs[..., kept].swapaxes(axis, -1)
    return low, high


def _wavelet(given: Any) -> Any:
    return given if isinstance(given, _pywt.Wavelet) else _pywt.Wavelet(given or _WAVELET)
