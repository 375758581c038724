"""Who drew what is measured: the names, labels and devices that a SEG or an RT Structure Set states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom import Dataset
from pydicom.uid import RTStructureSetStorage

#: What identifies an object to others, with what a reader of the reference wants to know.
_IDENTITY = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID", "Modality")


def identity(dataset: Dataset) -> Dataset:
    """As little of an object as a reference to it needs: nothing else of it can then stand in the way."""
    result = Dataset()
    for keyword in _IDENTITY:
        setattr(result, keyword, dataset[keyword].value)
    return result


def author(dataset: Dataset, algorithms: Iterable[str]) -> str:
    """In words who made the contours and with what; person names stand in it.

    Parameters
    ----------
    algorithms
        Segment Algorithm Type or ROI Generation Algorithm of every region; "" where not told.
    """
    is_structure_set = dataset.SOPClassUID == RTStructureSetStorage
    prefix = "StructureSet" if is_structure_set else "Content"
    people = [str(name) for key in ("ContentCreatorName", "OperatorsName") for name in _values(dataset, key)]
    people += [
        str(item.ROIInterpreter)
        for item in dataset.get("RTROIObservationsSequence") or ()
        if str(item.get("ROIInterpreter") or "")
    ]
    device = " ".join(
        str(dataset.get(key) or "").strip() for key in ("Manufacturer", "ManufacturerModelName", "StationName")
    )
    day, hour = (str(dataset.get(f"{prefix}{part}") or "") for part in ("Date", "Time"))
    label = str(dataset.get(f"{prefix}Label") or "").strip()
    kinds = [kind for kind in dict.fromkeys(algorithms) if kind]
    parts = [
        f"{'RTSTRUCT' if is_structure_set else 'SEG'} {dataset.SOPInstanceUID}",
        f"label {label}" if label else "",
        f"drawn by {', '.join(dict.fromkeys(people))}" if people else "drawn by somebody whom it does not name",
        f"method {', '.join(kinds)}" if kinds else "method not told",
        f"made with {' '.join(device.split())}" if device.strip() else "",
        f"of {day} {hour[:6]}".strip() if day else "",
    ]
    return "; ".join(part for part in parts if part)


def _values(dataset: Dataset, keyword: str) -> Sequence[object]:
    value = dataset.get(keyword)
    if not value:
        return ()
    return value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
