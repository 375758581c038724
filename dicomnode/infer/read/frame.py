"""One plane of an image object, single- or multi-frame, with its place in the patient and its rescaling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.image import Image
from dicomnode.infer.read.rescale import Rescale
from dicomnode.infer.read.told import told

#: An item of a functional group (PS3.3 C.7.6.16) by the tag of each attribute that it holds.
Attributes = Mapping[int, Dataset]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One plane without its pixels.

    Attributes
    ----------
    number
        Counts from 1 within a multi-frame object; None for a single-frame one.
    pixel_spacing_mm
        Distance between rows, then between columns (PS3.3 10.7.1.3).
    orientation
        Direction cosines of a row, then of a column (PS3.3 C.7.6.2.1.1), as written.
    position_mm
        Centre of the first pixel, LPS.
    attributes
        What the functional groups say of this frame; empty for other objects.
    dimensions
        Places along the dimensions of a multi-frame object that are not spatial, by the dimension's name.
    """

    image: Image
    number: int | None = None
    pixel_spacing_mm: tuple[float, float]
    orientation: tuple[float, ...]
    position_mm: tuple[float, ...]
    rescale: Rescale = field(repr=False)
    attributes: Attributes = field(default_factory=dict, repr=False)
    dimensions: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def subject(self) -> str:
        """How messages call it."""
        return self.image.subject if self.number is None else f"{self.image.subject}, frame {self.number}"

    def values(self, keyword: str) -> tuple[Any, ...]:
        """Values of an attribute, empty ones left out: those of the frame before those of the object."""
        if keyword in self.dimensions:
            return (self.dimensions[keyword],)
        if not self.attributes:
            return _several(told(self.image.dataset, keyword))
        tag = tag_for_keyword(keyword)
        return () if tag is None else _several(told(self.attributes.get(tag) or self.image.dataset, keyword))

    def first(self, keyword: str, default: Any = None) -> Any:
        """The first value, or `default` when absent or empty."""
        values = self.values(keyword)
        return values[0] if values else default


@dataclass(frozen=True, slots=True)
class Attributed:
    """A header that answers like a frame, for objects that are none."""

    dataset: Dataset

    def values(self, keyword: str) -> tuple[Any, ...]:
        """Values of an attribute, empty ones left out."""
        return _several(told(self.dataset, keyword))


def _several(value: Any) -> tuple[Any, ...]:
    several = value if isinstance(value, MultiValue | Items | list | tuple) else (value,)
    return tuple(one for one in several if one is not None and one != "")


def check_geometry(frame: Frame) -> Frame:
    """The frame, if its numbers can be a place in the patient.

    Raises
    ------
    Unsuitable
        If there are too few or impossible numbers (PS3.3 C.7.6.2).
    """
    if len(frame.orientation) != 6 or len(frame.position_mm) != 3:
        raise Unsuitable(
            f"{frame.subject}: {len(frame.orientation)} direction cosines and {len(frame.position_mm)} coordinates, "
            "needed 6 and 3 (PS3.3 C.7.6.2)"
        )
    if min(frame.pixel_spacing_mm) <= 0:
        raise Unsuitable(f"{frame.subject}: pixels of {frame.pixel_spacing_mm} mm, needed positive numbers")
    if not np.isfinite([*frame.pixel_spacing_mm, *frame.orientation, *frame.position_mm]).all():
        raise Unsuitable(f"{frame.subject}: geometry that is not finite, needed numbers in mm (PS3.3 C.7.6.2)")
    return frame


def floats(value: Any) -> tuple[float, ...]:
    """The value or values of an attribute as numbers."""
    several = value if isinstance(value, MultiValue | list | tuple) else (value,)
    return tuple(float(one) for one in several)


def spacing_of(value: Any, subject: str) -> tuple[float, float]:
    """Pixel Spacing as two numbers.

    Raises
    ------
    Unsuitable
        If there are not two.
    """
    values = floats(value)
    if len(values) != 2:
        raise Unsuitable(f"{subject}: Pixel Spacing of {len(values)} values, needed 2 (PS3.3 10.7.1.3)")
    return values[0], values[1]


def classic_frame(image: Image) -> Frame:
    """The plane of a single-frame object.

    Raises
    ------
    Unsuitable
        If it has no place in the patient, or several slices in one image.
    """
    dataset = image.dataset
    if image.frames > 1:
        raise Unsuitable(
            f"{image.subject}: {image.frames} frames without functional groups, needed one, or a place for each"
        )
    geometry = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "FrameOfReferenceUID")
    missing = [keyword for keyword in geometry if not told(dataset, keyword)]
    if missing:
        raise Unsuitable(f"{image.subject}: no {' and no '.join(missing)}, needed for its place in the patient")
    if "MOSAIC" in (told(dataset, "ImageType") or ()):
        raise Unsuitable(f"{image.subject}: a mosaic of many slices in one image, needed one slice per image")
    frame = Frame(
        image=image,
        pixel_spacing_mm=spacing_of(told(dataset, "PixelSpacing"), image.subject),
        orientation=floats(told(dataset, "ImageOrientationPatient")),
        position_mm=floats(told(dataset, "ImagePositionPatient")),
        rescale=Rescale.of(dataset, image.subject),
    )
    return check_geometry(frame)
