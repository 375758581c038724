"""What one measurer gives: numbers, numbers that could not be had, and what a reader of them has to know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Absent, Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Numbers about segments.

    Attributes
    ----------
    absent
        What could not be measured, and why.
    remarks
        What limits the numbers, in words for the report: a lesion that the image cuts off, one in several pieces.
    """

    measurements: tuple[Measurement, ...] = ()
    absent: tuple[Absent, ...] = ()
    remarks: tuple[str, ...] = ()


def joined(parts: Iterable[Measured]) -> Measured:
    """All of them in order as one."""
    listed = tuple(parts)
    return Measured(
        measurements=tuple(chain.from_iterable(part.measurements for part in listed)),
        absent=tuple(chain.from_iterable(part.absent for part in listed)),
        remarks=tuple(chain.from_iterable(part.remarks for part in listed)),
    )


def row(
    segment_number: int,
    name: Code,
    value: float,
    unit: Code,
    *,
    method: Code | None = None,
    points_mm: Iterable[Iterable[float]] = (),
    plane: int | None = None,
) -> Measurement:
    """One number as Python's own, with points of any kind of sequence."""
    points = tuple((float(x), float(y), float(z)) for x, y, z in points_mm)
    return Measurement(
        segment_number=segment_number,
        name=name,
        value=float(value),
        unit=unit,
        method=method,
        points_mm=points,
        plane=plane,
    )


def missing(
    segment_number: int,
    named: Iterable[tuple[Code, Code]],
    reason: Code,
    text: str,
    *,
    method: Code | None = None,
    derivation: Code | None = None,
) -> Measured:
    """Several quantities, each with its unit, that are absent for one reason."""
    return Measured(
        absent=tuple(
            Absent(
                segment_number=segment_number,
                name=name,
                unit=unit,
                reason=reason,
                text=text,
                derivation=derivation,
                method=method,
            )
            for name, unit in named
        )
    )
