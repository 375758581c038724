"""Which batch of a harmonisation a series belongs to, by what its headers say of scanner and reconstruction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """The values of a keyword in one line; numbers as short as they can be, since 1.5 and 1.50 tesla are the same.

    An enhanced object says them inside functional groups (PS3.3 C.7.6.16), for all of its frames alike or not at all.
    """
    told = _line(header.get(keyword))
    if told:
        return told
    found = {_line(value) for value in _within(header.get("SharedFunctionalGroupsSequence") or (), keyword)}
    if not found:
        frames = header.get("PerFrameFunctionalGroupsSequence") or ()
        found = {next((_line(value) for value in _within([frame], keyword)), "") for frame in frames}
    return found.pop() if len(found) == 1 else ""


def _within(groups: Iterable[Dataset], keyword: str) -> Iterator[object]:
    """The values of a keyword in the macros of functional groups."""
    for group in groups:
        for macro in group:
            if macro.VR == "SQ":
                yield from (item.get(keyword) for item in macro.value if item.get(keyword) is not None)


def _line(value: object) -> str:
    values = value if isinstance(value, MultiValue) else [value]
    return " ".join("\\".join(_text(one) for one in values).split())


def _text(value: object) -> str:
    if isinstance(value, (float, Decimal)):
        return f"{float(value):g}"
    return "" if value is None else str(value)
