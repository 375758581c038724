"""Which batch of a harmonisation a series belongs to, by what its headers say of scanner and reconstruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

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
    values = [stated(header, keyword) for keyword in keywords]
    return BETWEEN.join(values) if all(values) else None


def stated(header: Dataset, keyword: str) -> str:
    """The values of a keyword in one line; numbers as short as they can be, since 1.5 and 1.50 tesla are the same."""
    value = header.get(keyword)
    values = value if isinstance(value, MultiValue) else [value]
    return " ".join("\\".join(_text(one) for one in values).split())


def _text(value: object) -> str:
    if isinstance(value, (float, Decimal)):
        return f"{float(value):g}"
    return "" if value is None else str(value)
