"""What of patient and tracer SUV rest on, which has to be the same in every image of a series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dicomnode.infer.read.petheader import PetHeader

#: Value by name; None where the image does not state it.
Basis = Mapping[str, str | float | None]


def patient(header: PetHeader) -> dict[str, str | float | None]:
    """Weight, size and sex as stated."""
    return {
        "Patient's Weight": header.number("PatientWeight"),
        "Patient's Size": header.number("PatientSize"),
        "Patient's Sex": header.text("PatientSex"),
    }


def tracer(header: PetHeader) -> dict[str, str | float | None]:
    """Dose, half-life and start of the injection as stated in the first radiopharmaceutical."""
    return _tracer(header.item("RadiopharmaceuticalInformationSequence"))


def require_one_tracer(header: PetHeader) -> None:
    """Refuse several radiopharmaceuticals: nothing says what each of them adds to a voxel.

    Raises
    ------
    Unsuitable
        If Radiopharmaceutical Information Sequence (0054,0016) has several items that differ.
    """
    found = [_tracer(item) for item in header.items("RadiopharmaceuticalInformationSequence")]
    if len(found) > 1 and differing(found):
        raise header.unsuitable(f"{len(found)} radiopharmaceuticals that differ, needed one")


def differing(found: Iterable[Basis]) -> tuple[str, ...]:
    """Names of what is not the same in all."""
    first, *others = found
    return tuple(name for name in first if any(other.get(name) != first[name] for other in others))


def _tracer(item: PetHeader) -> dict[str, str | float | None]:
    return {
        "Radionuclide Total Dose": item.number("RadionuclideTotalDose"),
        "Radionuclide Half Life": item.number("RadionuclideHalfLife"),
        "Radiopharmaceutical Start Date Time": item.text("RadiopharmaceuticalStartDateTime"),
        "Radiopharmaceutical Start Time": item.text("RadiopharmaceuticalStartTime"),
    }
