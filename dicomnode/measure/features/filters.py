"""Image types of pyradiomics, each made from the part of the image that its values in the region depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from radiomics import imageoperations
from SimpleITK import GetArrayViewFromImage

from dicomnode.measure.features import wavelet
from dicomnode.measure.features.frame import Box, Frame
from dicomnode.measure.features.laplacian import laplacian_of_gaussian
from dicomnode.measure.features.standard import anchored

#: Laplacian of Gaussian is a recursive filter, which in theory sees the whole image. With this many standard deviations
#: around a region its values differ from those of the whole image by LOG_TOLERANCE of the largest at most.
LOG_MARGIN_SIGMAS = 12.0
LOG_TOLERANCE = 1e-6

#: A derivative looks at the next voxel.
_GRADIENT_MARGIN = 1

#: ITK's recursive filter starts with four voxels.
_LEAST_SIZE = 4

#: What pyradiomics makes these of. Its code for the second stands on modules that scipy has removed, too.
_NEEDED_PACKAGES = {"LBP2D": "the package scikit-image", "LBP3D": "the package trimesh and a scipy before 1.15"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered:
    """One image of a region.

    Attributes
    ----------
    name
        As pyradiomics begins the names of its features (`original`, `wavelet-HHL`, `log-sigma-2-0-mm-3D`).
    array
        In the region's bounding box; None where it could not be made.
    settings
        Those of the feature classes on this image.
    missing
        Why it could not be made.
    """

    name: str
    array: NDArray[Any] | None = field(repr=False, default=None)
    settings: Mapping[str, Any] = field(repr=False, default_factory=dict)
    missing: str = ""


_Maker = Callable[[Frame, Mapping[str, Any]], Iterator[Filtered]]


def images(
    frame: Frame, image_types: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Any]
) -> Iterator[Filtered]:
    """The images of a region, in the order of `image_types` and, within a type, of pyradiomics.

    Raises
    ------
    KeyError
        If pyradiomics knows no such image type.
    """
    for image_type, own in image_types.items():
        given = {**settings, **own}
        if image_type in _NEEDED_PACKAGES:
            yield Filtered(name=image_type, missing=f"needs {_NEEDED_PACKAGES[image_type]}, which is not installed")
        else:
            yield from _MAKERS[image_type](frame, given)


def _original(frame: Frame, settings: Mapping[str, Any]) -> Iterator[Filtered]:
    yield Filtered(name="original", array=frame.block(frame.box), settings=anchored(settings))


def _scaled(name: str, formula: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]) -> _Maker:
    """A voxel's own value by pyradiomics' formula, scaled to the greatest magnitude of the whole image."""

    def make(frame: Frame, settings: Mapping[str, Any]) -> Iterator[Filtered]:
        extremes = frame.extremes().astype(np.float64)
        if not np.isfinite(extremes).all() or not np.abs(extremes).max() > 0:
            yield Filtered(name=name, missing="the whole image has no finite intensity other than 0 to scale by")
            return
        block = frame.block(frame.box).astype(np.float64)
        yield Filtered(name=name, array=formula(block, extremes), settings=settings)

    return make


def _square(values: NDArray[Any], extremes: NDArray[Any]) -> NDArray[Any]:
    squared: NDArray[Any] = (1 / np.sqrt(np.abs(extremes).max()) * values) ** 2
    return squared


def _square_root(values: NDArray[Any], extremes: NDArray[Any]) -> NDArray[Any]:
    greatest = np.abs(extremes).max()
    found = values.copy()
    found[values > 0] = np.sqrt(values[values > 0] * greatest)
    found[values < 0] = -np.sqrt(-values[values < 0] * greatest)
    return found


def _logarithm(values: NDArray[Any], extremes: NDArray[Any]) -> NDArray[Any]:
    greatest: NDArray[Any] = np.abs(_plain_logarithm(extremes)).max()
    scaled: NDArray[Any] = _plain_logarithm(values) * (np.abs(extremes).max() / greatest)
    return scaled


def _plain_logarithm(values: NDArray[Any]) -> NDArray[Any]:
    found = values.copy()
    found[values > 0] = np.log(values[values > 0] + 1)
    found[values < 0] = -np.log(-(values[values < 0] - 1))
    return found


def _exponential(values: NDArray[Any], extremes: NDArray[Any]) -> NDArray[Any]:
    greatest = np.abs(extremes).max()
    found: NDArray[Any] = np.exp(np.log(greatest) / greatest * values)
    return found


def _gradient(frame: Frame, settings: Mapping[str, Any]) -> Iterator[Filtered]:
    box, inner = _margin(frame, (_GRADIENT_MARGIN,) * 3)
    ((image, name, given),) = imageoperations.getGradientImage(frame.itk(frame.block(box)), None, **settings)
    yield Filtered(name=name, array=_part(image, inner), settings=given)


def _laplacian(frame: Frame, settings: Mapping[str, Any]) -> Iterator[Filtered]:
    """pyradiomics asks for four voxels, and more than a standard deviation, along each axis of the whole image."""
    size = np.array(frame.array.shape)
    for sigma in settings.get("sigma", ()):
        name = f"log-sigma-{str(sigma).replace('.', '-')}-mm-3D"
        steps = sigma / np.array(frame.spacing_mm)
        if sigma <= 0 or size.min() < _LEAST_SIZE or not (size >= np.ceil(steps) + 1).all():
            needed = f"an image of {_LEAST_SIZE} voxels, and more than sigma, along every axis"
            yield Filtered(name=name, missing=f"sigma {sigma} mm on {tuple(frame.array.shape)} voxels, needed {needed}")
            continue
        box, inner = _margin(frame, np.ceil(LOG_MARGIN_SIGMAS * steps).astype(int))
        found = laplacian_of_gaussian(frame.itk(frame.block(box)), float(sigma), inner)
        yield Filtered(name=name, array=found, settings=settings)


def _wavelet(frame: Frame, settings: Mapping[str, Any]) -> Iterator[Filtered]:
    """An axis along which the margin passes the edge is taken whole, since the transform is periodic."""
    given = {name: settings[name] for name in ("level", "start_level", "wavelet") if name in settings}
    box, inner = _margin(frame, (wavelet.margin(**given),) * 3, whole_at_edge=True)
    axes = [2, 1, 0]
    if settings.get("force2D"):
        axes.remove(settings.get("force2Ddimension", 0))
    for name, found in wavelet.wavelet_images(frame.block(box), inner, axes, **given):
        yield Filtered(name=name, array=found, settings=settings)


def _margin(frame: Frame, margins: Sequence[int] | NDArray[Any], *, whole_at_edge: bool = False) -> tuple[Box, Box]:
    """The region's box wider by a margin along each axis where the image has it, and the region's box within that."""
    wide, inner = [], []
    for side, length, margin in zip(frame.box, frame.array.shape, margins, strict=True):
        start, stop = side.start - int(margin), side.stop + int(margin)
        if whole_at_edge and (start < 0 or stop > length):
            start, stop = 0, length
        start, stop = max(0, start), min(length, stop)
        wide.append(slice(start, stop))
        inner.append(slice(side.start - start, side.stop - start))
    return (wide[0], wide[1], wide[2]), (inner[0], inner[1], inner[2])


def _part(image: Any, box: Box) -> NDArray[Any]:
    return np.ascontiguousarray(GetArrayViewFromImage(image)[box])


_MAKERS: dict[str, _Maker] = {
    "Original": _original,
    "Wavelet": _wavelet,
    "LoG": _laplacian,
    "Square": _scaled("square", _square),
    "SquareRoot": _scaled("squareroot", _square_root),
    "Logarithm": _scaled("logarithm", _logarithm),
    "Exponential": _scaled("exponential", _exponential),
    "Gradient": _gradient,
}

#: Every image type that can be asked for.
IMAGE_TYPES = (*_MAKERS, *_NEEDED_PACKAGES)
