"""Tells the stacks apart that one series holds, by geometry and then by attributes, without looking at pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dicomnode.domain.header import Header
from dicomnode.domain.plane import plane_of
from dicomnode.infer.read.divide import Described, divide
from dicomnode.infer.read.geometry import ORIENTATION_TOLERANCE, SAME_PIXEL_SPACING_MM

#: Image Type of an image that shows where others lie: LOCALIZER (PS3.3 C.8.2.1.1.1), and what vendors write for it.
_LOCALIZER = frozenset({"LOCALIZER", "SCOUT", "SURVIEW", "REF_SURVIEW", "TOPOGRAM"})

#: Values of Image Type, Frame Type and Complex Image Component (PS3.3 C.8.3.1.1.1, C.8.13.3.1) of images that show no
#: magnitude: phase, the parts of complex numbers, and maps of the field or of velocity.
_NO_MAGNITUDE = frozenset({"P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY", "FIELD_MAP", "VELOCITY"})

WHOLE = "all images"
NO_PLACE = "objects without a place in the patient"
MULTI_FRAME = "multi-frame objects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What two images have to share to be slices of one stack, and where one lies."""

    frame_of_reference_uid: str
    shape: tuple[int, int]
    pixel_spacing_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    position_mm: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Images of one stack.

    Attributes
    ----------
    indices
        Places in the sequence that was divided.
    label
        In words what tells it apart, such as `echo 2 of 2 (TE 30 ms)`.
    localizer
        Whether the images are there to show where others lie.
    """

    indices: tuple[int, ...]
    label: str
    localizer: bool = False


def stacks_of(headers: Sequence[Header]) -> list[Group]:
    """The stacks of a series as far as stored headers tell, best first (`split`).

    Multi-frame objects, which may hold several stacks each, stay together, and so do objects without a place.
    """
    places = [_place_of(header) for header in headers]
    placed = [index for index, place in enumerate(places) if place is not None]
    found = [
        Group(indices=tuple(placed[index] for index in group.indices), label=group.label, localizer=group.localizer)
        for group in split([headers[index] for index in placed], [place for place in places if place is not None])
    ]
    rest = [index for index, place in enumerate(places) if place is None]
    frames = [index for index in rest if _is_multi_frame(headers[index])]
    if frames:
        found.insert(0, Group(indices=tuple(frames), label=MULTI_FRAME if placed else WHOLE))
    if len(rest) > len(frames):
        others = tuple(index for index in rest if index not in set(frames))
        found.append(Group(indices=others, label=NO_PLACE))
    return found


def split(images: Sequence[Described], places: Sequence[Place]) -> list[Group]:
    """Divide images into stacks.

    Images of different frame of reference, size, pixel spacing, orientation, and localizers are never one stack.
    Within these, attributes divide where they really separate complete stacks (`divide`).

    Returns
    -------
    list of Group
        Best first: no localizer, original before derived (Image Type, value 1), magnitude before phase, more before
        fewer images, lower before higher value of the attribute that divides (the first echo, the first time point).
    """
    classes: list[tuple[list[int], bool]] = []
    for members in _alike(places):
        for flagged in (False, True):
            part = [index for index in members if is_localizer(images[index]) == flagged]
            if part:
                classes.append((part, flagged))
    found: list[tuple[tuple[bool, bool, bool, int], Group]] = []
    for members, localizer in classes:
        first = places[members[0]]
        words = [_geometry_words(first, localizer, places)] if len(classes) > 1 else []
        depths = _depths([places[index] for index in members])
        for part, label in divide([images[index] for index in members], depths):
            indices = tuple(members[index] for index in part)
            kind, *kinds = _types(images[indices[0]]) or ("",)
            component = images[indices[0]].values("ComplexImageComponent")
            no_magnitude = not _NO_MAGNITUDE.isdisjoint((*kinds, *component))
            group = Group(indices=indices, label=", ".join([*words, *label]) or WHOLE, localizer=localizer)
            found.append(((localizer, kind == "DERIVED", no_magnitude, -len(indices)), group))
    return [group for _, group in sorted(found, key=lambda pair: pair[0])]


def _alike(places: Sequence[Place]) -> list[list[int]]:
    """Indices of the places that could be one stack; both ends of a tolerance round one truth lie two apart."""
    classes: list[list[int]] = []
    for index, place in enumerate(places):
        for members in classes:
            other = places[members[0]]
            if (
                place.frame_of_reference_uid == other.frame_of_reference_uid
                and place.shape == other.shape
                and _near(place.pixel_spacing_mm, other.pixel_spacing_mm, SAME_PIXEL_SPACING_MM)
                and _near(place.orientation, other.orientation, 2 * ORIENTATION_TOLERANCE)
            ):
                members.append(index)
                break
        else:
            classes.append([index])
    return classes


def _near(one: Sequence[float], other: Sequence[float], tolerance: float) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def _depths(places: Sequence[Place]) -> npt.NDArray[np.float64]:
    cosines = np.array(places[0].orientation)
    return np.asarray(np.array([place.position_mm for place in places]) @ np.cross(cosines[:3], cosines[3:]))


def _geometry_words(place: Place, localizer: bool, places: Sequence[Place]) -> str:
    rows, columns = place.shape
    words = ["localizer"] if localizer else []
    words.append(plane_of(place.orientation[:3], place.orientation[3:]))
    if len({one.shape for one in places}) > 1:
        words.append(f"{rows} × {columns}")
    if len({one.frame_of_reference_uid for one in places}) > 1:
        words.append(f"frame of reference {place.frame_of_reference_uid}")
    return " ".join(words)


def is_derived(image: Described) -> bool:
    """Whether an image says that it was computed from others (Image Type, value 1, PS3.3 C.7.6.1.1.2)."""
    return _types(image)[:1] == ("DERIVED",)


def _types(image: Described) -> tuple[str, ...]:
    return tuple(str(value).upper() for value in image.values("FrameType") or image.values("ImageType"))


def is_localizer(image: Described) -> bool:
    """Whether an image says that it is there to show where others lie."""
    return not _LOCALIZER.isdisjoint(_types(image))


def _is_multi_frame(header: Header) -> bool:
    return "NumberOfFrames" in header or "SharedFunctionalGroupsSequence" in header


def _place_of(header: Header) -> Place | None:
    if _is_multi_frame(header) and str(header.first("NumberOfFrames", 1)) != "1":
        return None
    numbers = [header.values(key) for key in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing")]
    try:
        orientation, position, spacing = (tuple(float(value) for value in values) for values in numbers)
        shape = (int(header.first("Rows", 0)), int(header.first("Columns", 0)))
    except (TypeError, ValueError):
        return None
    if (len(orientation), len(position), len(spacing)) != (6, 3, 2):
        return None
    return Place(
        frame_of_reference_uid=str(header.first("FrameOfReferenceUID", "")),
        shape=shape,
        pixel_spacing_mm=spacing,
        orientation=orientation,
        position_mm=position,
    )
