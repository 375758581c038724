"""Which batch of a harmonisation a series belongs to, by what its headers say of scanner and reconstruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydicom import Dataset
from pydicom.multival import MultiValue

#: Modality → keywords that name the batch of a series unless somebody says otherwise: what makes features of one
#: object differ most, which is scanner and kernel in CT, reconstruction in PET, sequence and field strength in MR.
BATCH_BY: Mapping[str, tuple[str, ...]] = {
    "CT": ("ManufacturerModelName", "ConvolutionKernel"),
    "PT": ("ManufacturerModelName", "ReconstructionMethod"),
    "MR": ("ManufacturerModelName", "MagneticFieldStrength", "ScanningSequence", "SequenceVariant"),
}

#: Between the values of several keywords, for people to read.
BETWEEN = " | "


def batch_of(header: Dataset, keywords: Sequence[str]) -> str | None:
    """The values of the keywords, joined; None where one is absent or empty, so that nobody knows."""
    values = []
    for keyword in keywords:
        value = header.get(keyword)
        text = "\\".join(str(one) for one in value) if isinstance(value, MultiValue) else str(value or "")
        if not text.strip():
            return None
        values.append(" ".join(text.split()))
    return BETWEEN.join(values)
