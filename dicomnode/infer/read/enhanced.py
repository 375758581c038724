"""The frames of an Enhanced or legacy-converted multi-frame object, placed by its functional groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.tag import BaseTag, Tag

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.faults import reading
from dicomnode.infer.read.frame import Attributes, Frame, check_geometry, floats, spacing_of
from dicomnode.infer.read.image import Image
from dicomnode.infer.read.rescale import Rescale

#: Functional groups that stay whole because their items are lists or say nothing about one frame's contents.
_WHOLE = frozenset(
    Tag(keyword) for keyword in ("RealWorldValueMappingSequence", "ReferencedImageSequence", "DerivationImageSequence")
)

#: Groups inside functional groups whose attributes are wanted, too.
_NESTED = ("DiffusionGradientDirectionSequence", "ReconstructionAlgorithmSequence")

#: Dimensions that tell where a frame lies, or that have attributes of their own among the separators.
_PLACES = frozenset(
    Tag(keyword)
    for keyword in (
        "InStackPositionNumber",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "StackID",
        "PlanePositionSequence",
        "SliceLocation",
        "InstanceNumber",
    )
)

_GEOMETRY = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")


def enhanced_frames(image: Image) -> list[Frame]:
    """Every frame with its place (PS3.3 C.7.6.16.2).

    Raises
    ------
    Unsuitable
        If the groups are fewer than the frames, or do not place every frame in the patient.
    """
    dataset = image.dataset
    if not dataset.get("FrameOfReferenceUID"):
        raise Unsuitable(f"{image.subject}: no FrameOfReferenceUID, needed for its place in the patient")
    shared_items = dataset.get("SharedFunctionalGroupsSequence") or ()
    shared = _flat(shared_items[0]) if shared_items else {}
    items = dataset["PerFrameFunctionalGroupsSequence"].value
    if len(items) != image.frames:
        raise Unsuitable(
            f"{image.subject}: {len(items)} functional groups for {image.frames} frames, needed one each "
            "(PS3.3 C.7.6.16)"
        )
    dimensions = _dimensions(dataset)
    return [_frame(image, number, {**shared, **_flat(item)}, dimensions) for number, item in enumerate(items, start=1)]


def _frame(image: Image, number: int, attributes: Attributes, dimensions: Sequence[tuple[int, str]]) -> Frame:
    subject = f"{image.subject}, frame {number}"

    def value(keyword: str) -> Any:
        tag = tag_for_keyword(keyword) or 0
        return (attributes.get(tag) or image.dataset).get(keyword) or ()

    missing = [keyword for keyword in _GEOMETRY if not value(keyword)]
    if missing:
        raise Unsuitable(f"{subject}: no {' and no '.join(missing)}, needed for its place in the patient")
    transformation = attributes.get(tag_for_keyword("RescaleSlope") or 0) or image.dataset
    indices = attributes.get(tag_for_keyword("DimensionIndexValues") or 0, Dataset()).get("DimensionIndexValues")
    with reading(subject, "needed readable functional groups"):
        several = [indices] if isinstance(indices, int) else list(indices or ())
        frame = Frame(
            image=image,
            number=number,
            pixel_spacing_mm=spacing_of(value("PixelSpacing"), subject),
            orientation=floats(value("ImageOrientationPatient")),
            position_mm=floats(value("ImagePositionPatient")),
            rescale=Rescale.of(transformation, subject),
            attributes=attributes,
            dimensions={label: int(several[place]) for place, label in dimensions if place < len(several)},
        )
    return check_geometry(frame)


def _flat(item: Dataset) -> dict[int, Dataset]:
    """The attributes of all functional groups in one item: tag → the data set in which it stands."""
    found: dict[int, Dataset] = {}
    for tag in item.keys():  # noqa: SIM118, iterating the data set itself would decode every element
        if tag.is_private:
            continue
        sequence = item[tag].value
        if tag in _WHOLE:
            found[tag] = item
        elif item[tag].VR == "SQ" and sequence:
            found.update(dict.fromkeys(sequence[0].keys(), sequence[0]))
            for keyword in _NESTED:
                inner = sequence[0].get(keyword)
                if inner:
                    found.update(dict.fromkeys(inner[0].keys(), inner[0]))
    return found


def _dimensions(dataset: Dataset) -> list[tuple[int, str]]:
    """Place within Dimension Index Values and name of every dimension that does not say where a frame lies."""
    found = []
    for place, item in enumerate(dataset.get("DimensionIndexSequence") or ()):
        pointer = item.get("DimensionIndexPointer")
        group = item.get("FunctionalGroupPointer")
        if isinstance(pointer, BaseTag) and pointer not in _PLACES and group not in _PLACES:
            label = str(item.get("DimensionDescriptionLabel") or "") or keyword_for_tag(pointer) or f"index {place + 1}"
            found.append((place, label))
    return found
