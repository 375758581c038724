"""The numbers of a stored report, read as any other viewer would read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from pydicom import Dataset, dcmread

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.faults import reading
from dicomnode.store.files import Files
from dicomnode.store.moving import JobRow, ResultRow

#: A report of radiomics may have thousands of numbers, which nobody reads beside a picture.
_MOST_BYTES = 4 << 20

#: About what, what, value, unit.
Number = tuple[str, str, str, str]

#: UCUM units as people write them.
_UNITS = {
    "[hnsf'U]": "HU", "cm3": "cm³", "mm3": "mm³", "cm2": "cm²", "mm2": "mm²", "1": "", "{ratio}": "",
    "{SUVbw}g/ml": "SUV", "g/ml{SUVbw}": "SUV",
}  # fmt: skip


def numbers_of(files: Files, job: JobRow, results: Sequence[ResultRow]) -> tuple[Sequence[Number], str]:
    """What a job's report measured, nothing where that was replaced or taken back; or why it cannot be read.

    Parameters
    ----------
    results
        Of this job.
    """
    report = next((row for row in results if row.kind == "sr" and not row.occasion), None)
    if report is None or job.superseded or job.retracted:
        return [], ""
    try:
        return numbers(files.path(report.path)), ""
    except Unsuitable as error:
        return [], str(error)


@lru_cache(maxsize=64)
def numbers(report: Path) -> tuple[Number, ...]:
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


def measurements(report: Dataset) -> Iterator[Number]:
    """The numbers of a TID 1500 report: tracking identifier, what, value as it stands there, unit.

    A value that could not be had is "": its item holds none (type 2, PS3.3 C.18.1).
    """
    for group in _items(report, "125007"):
        items = group.ContentSequence
        tracking = next((item.TextValue for item in items if _concept(item) == "112039"), "")
        for item in items:
            if item.ValueType == "NUM":
                name = item.ConceptNameCodeSequence[0].CodeMeaning
                derivation = [child for child in item.get("ContentSequence", ()) if _concept(child) == "121401"]
                if derivation:
                    name = f"{derivation[0].ConceptCodeSequence[0].CodeMeaning} {name}"
                value = next(iter(item.get("MeasuredValueSequence") or ()), None)
                if value is None:
                    yield str(tracking), name, "", ""
                    continue
                unit = value.MeasurementUnitsCodeSequence[0].CodeValue
                yield str(tracking), name, str(value.NumericValue), unit


def figures(value: str) -> str:
    """A value with four significant digits, or all digits of its integer part; "none" where there is none."""
    if not value:
        return "none"
    number = float(value)
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def _items(node: Dataset, code: str) -> Iterator[Dataset]:
    for item in node.get("ContentSequence", ()):
        if _concept(item) == code:
            yield item
        yield from _items(item, code)


def _concept(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeValue) if names else ""
