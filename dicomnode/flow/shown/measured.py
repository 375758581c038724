"""The numbers of a stored report, read as any other viewer would read them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from pydicom import Dataset, dcmread

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.faults import reading

#: A report of radiomics may have thousands of numbers, which nobody reads beside a picture.
_MOST_BYTES = 4 << 20

#: UCUM units as people write them.
_UNITS = {
    "[hnsf'U]": "HU", "cm3": "cm³", "mm3": "mm³", "cm2": "cm²", "mm2": "mm²", "1": "", "{ratio}": "",
    "{SUVbw}g/ml": "SUV", "g/ml{SUVbw}": "SUV",
}  # fmt: skip


@lru_cache(maxsize=64)
def numbers(report: Path) -> tuple[tuple[str, str, str, str], ...]:
    """What a stored report measured: about what, what, value, unit; files of the store never change.

    Raises
    ------
    Unsuitable
        It is not here, is too long, or cannot be read.
    """
    if not report.is_file():
        raise Unsuitable("report: its file is not here any more")
    if report.stat().st_size > _MOST_BYTES:
        raise Unsuitable("report: too long to be shown here")
    with reading("report", "needed one that can be read"):
        return tuple((*row[:3], _UNITS.get(row[3], row[3])) for row in measurements(dcmread(report)))


def measurements(report: Dataset) -> Iterator[tuple[str, str, str, str]]:
    """The numbers of a TID 1500 report: tracking identifier, what, value, unit."""
    for group in _items(report, "125007"):
        items = group.ContentSequence
        tracking = next((item.TextValue for item in items if _concept(item) == "112039"), "")
        for item in items:
            if item.ValueType == "NUM":
                name = item.ConceptNameCodeSequence[0].CodeMeaning
                derivation = [child for child in item.get("ContentSequence", ()) if _concept(child) == "121401"]
                if derivation:
                    name = f"{derivation[0].ConceptCodeSequence[0].CodeMeaning} {name}"
                value = item.MeasuredValueSequence[0]
                unit = value.MeasurementUnitsCodeSequence[0].CodeValue
                yield str(tracking), name, f"{float(value.NumericValue):.1f}", unit


def _items(node: Dataset, code: str) -> Iterator[Dataset]:
    for item in node.get("ContentSequence", ()):
        if _concept(item) == code:
            yield item
        yield from _items(item, code)


def _concept(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeValue) if names else ""
