"""The frames of a nuclear medicine object: reconstructed slices lie in space, projections do not."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.frame import Frame, check_geometry, floats, spacing_of
from dicomnode.infer.read.image import Image
from dicomnode.infer.read.rescale import Rescale

#: Image Type, value 3, of reconstructed slices (PS3.3 C.8.4.9.1.1).
_RECONSTRUCTED = frozenset({"RECON TOMO", "RECON GATED TOMO"})

#: Frame Increment Pointer's targets that tell frames of one place apart (PS3.3 C.8.4.8), and their names.
_VECTORS = {
    "EnergyWindowVector": "energy window",
    "DetectorVector": "detector",
    "RRIntervalVector": "R-R interval",
    "TimeSlotVector": "time slot",
}


def nuclear_frames(image: Image) -> list[Frame]:
    """The slices of a reconstructed tomogram.

    Slices follow the first along its normal at Spacing Between Slices, whose sign is the direction (PS3.3 C.8.4.15).

    Raises
    ------
    Unsuitable
        If the object shows projections (static, whole-body, dynamic, unreconstructed), or does not say where its
        slices lie.
    """
    dataset, subject = image.dataset, image.subject
    types = [str(value).upper() for value in dataset.get("ImageType") or ()]
    kind = types[2] if len(types) > 2 else "unknown"
    if kind not in _RECONSTRUCTED:
        raise Unsuitable(
            f"{subject}: nuclear medicine image of type {kind}, which has no slices in space, "
            f"needed {' or '.join(sorted(_RECONSTRUCTED))}"
        )
    detectors = dataset.get("DetectorInformationSequence") or ()
    if not detectors:
        raise Unsuitable(f"{subject}: no DetectorInformationSequence, needed for its place in the patient")
    place: Dataset = detectors[0]
    missing = [
        keyword
        for keyword, holder in (
            ("ImagePositionPatient", place),
            ("ImageOrientationPatient", place),
            ("PixelSpacing", dataset),
            ("SpacingBetweenSlices", dataset),
            ("SliceVector", dataset),
        )
        if not holder.get(keyword)
    ]
    if missing:
        raise Unsuitable(f"{subject}: no {' and no '.join(missing)}, needed for its place in the patient")
    position, orientation = floats(place.ImagePositionPatient), floats(place.ImageOrientationPatient)
    slices = np.atleast_1d(np.asarray(dataset.SliceVector, dtype=int))
    vectors = {
        name: np.atleast_1d(np.asarray(dataset[keyword].value, dtype=int))
        for keyword, name in _VECTORS.items()
        if dataset.get(keyword) is not None
    }
    for name, vector in (("slice", slices), *vectors.items()):
        if len(vector) != image.frames:
            raise Unsuitable(
                f"{subject}: {len(vector)} values of the {name} vector, needed {image.frames}, one per frame"
            )
    first = check_geometry(
        Frame(
            image=image,
            number=1,
            pixel_spacing_mm=spacing_of(dataset.PixelSpacing, subject),
            orientation=orientation,
            position_mm=position,
            rescale=Rescale.of(dataset, subject),
        )
    )
    normal = np.cross(orientation[:3], orientation[3:])
    step = float(dataset.SpacingBetweenSlices) * normal / (np.linalg.norm(normal) or 1)
    return [
        Frame(
            image=image,
            number=number + 1,
            pixel_spacing_mm=first.pixel_spacing_mm,
            orientation=orientation,
            position_mm=tuple((np.array(position) + (slices[number] - 1) * step).tolist()),
            rescale=first.rescale,
            dimensions={name: int(vector[number]) for name, vector in vectors.items()},
        )
        for number in range(image.frames)
    ]
