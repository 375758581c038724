"""The unit of a stack's intensities, and the rescaling that leads to it: Hounsfield, uptake, activity, counts, maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.basis import differing
from dicomnode.infer.read.decay import earliest_acquisition
from dicomnode.infer.read.frame import Frame
from dicomnode.infer.read.padding import tissue_hu
from dicomnode.infer.read.petheader import PetHeader
from dicomnode.infer.read.rescale import Rescale
from dicomnode.infer.read.suv import suv

HOUNSFIELD = "[hnsf'U]"
COUNTS = "{counts}"
ARBITRARY = "1"

#: Units (0054,1001) of a PET image (PS3.3 C.8.9.1.1.3) and what UCUM calls them.
_PET_UNITS = {"CNTS": COUNTS, "NONE": ARBITRARY, "CM2": "cm2", "PCNT": "%", "CPS": "{counts}/s", "BQML": "Bq/ml",
    "MGMINML": "mg/min/ml", "UMOLMINML": "umol/min/ml", "MLMING": "ml/min/g", "MLG": "ml/g", "1CM": "/cm",
    "UMOLML": "umol/ml", "PROPCNTS": COUNTS, "PROPCPS": "{counts}/s", "MLMINML": "ml/min/ml", "MLML": "ml/ml",
    "GML": "g/ml", "STDDEV": "{SD}"}  # fmt: skip

#: Rescale Type of a CT image in Hounsfield Units, also where the spectrum was changed (PS3.3 C.11.1.1.2).
_HOUNSFIELD_TYPES = frozenset({"HU", "HU_MOD"})
_CT_CLASSES = frozenset({CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage})


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensities:
    """What the numbers of a stack mean.

    Attributes
    ----------
    unit
        UCUM.
    rescales
        From the stored values of each frame.
    """

    unit: str
    rescales: tuple[Rescale, ...]
    warnings: tuple[str, ...] = ()


def intensities(frames: Sequence[Frame], kind: str, subject: str, series: Sequence[Frame] = ()) -> Intensities:
    """The unit of frames and their rescaling.

    Parameters
    ----------
    frames
        Of one stack.
    kind
        Of standardised uptake value: `bw`, `lbm`, `bsa` …, as `suv` knows them.
    series
        All frames of the series: decay may be corrected to the first acquisition of any of its beds and time points.

    Raises
    ------
    Unsuitable
        If the frames state different units.
    """
    modality = str(frames[0].first("Modality", ""))
    if modality == "PT":
        return _uptake(frames, kind, subject, series or frames)
    mapped = [_mapping(frame) for frame in frames]
    units = {unit for unit, _ in mapped}
    if len(units) > 1:
        raise Unsuitable(f"{subject}: intensities in {' and '.join(sorted(units))}, needed one unit")
    unit = units.pop()
    warnings: tuple[str, ...] = ()
    if modality == "CT" and unit != HOUNSFIELD:
        stated = str(frames[0].first("RescaleType", "")).strip() or "none"
        warnings = (f"intensities are no Hounsfield Units (Rescale Type {stated}); nothing can be measured in them",)
    elif modality == "CT":
        warnings = _doubtful_padding(frames)
    return Intensities(unit=unit, rescales=tuple(rescale for _, rescale in mapped), warnings=warnings)


def _uptake(frames: Sequence[Frame], kind: str, subject: str, series: Sequence[Frame]) -> Intensities:
    try:
        earliest = earliest_acquisition(_pet(frame) for frame in series)
        found = [suv(_pet(frame), kind, earliest=earliest) for frame in frames]
        differ = differing([one.basis for one in found])
        if differ:
            raise Unsuitable(f"{subject}: {', '.join(differ)} not the same in all images, needed one value")
    except Unsuitable as refusal:
        units = {str(frame.first("Units", "")) for frame in frames}
        if len(units) > 1:
            raise Unsuitable(f"{subject}: intensities in {' and '.join(sorted(units))}, needed one unit") from refusal
        return Intensities(
            unit=_PET_UNITS.get(units.pop(), ARBITRARY),
            rescales=tuple(frame.rescale for frame in frames),
            warnings=(f"no SUV: {refusal}",),
        )
    if len({one.unit for one in found}) > 1:
        raise Unsuitable(f"{subject}: uptake in {' and '.join(sorted({one.unit for one in found}))}, needed one unit")
    return Intensities(
        unit=found[0].unit,
        rescales=tuple(frame.rescale.times(one.factor) for frame, one in zip(frames, found, strict=True)),
        warnings=tuple(dict.fromkeys(text for one in found for text in one.warnings)),
    )


def _pet(frame: Frame) -> PetHeader:
    return PetHeader(frame.image.dataset, frame.number or 1)


def _doubtful_padding(frames: Sequence[Frame]) -> tuple[str, ...]:
    found = [hu for frame in frames if (hu := tissue_hu(frame, frame.rescale))]
    if not found:
        return ()
    low, high = min(low for low, _ in found), max(high for _, high in found)
    named = f"{low:g} HU" if low == high else f"{low:g} to {high:g} HU"
    return (
        f"Pixel Padding Value stands for {named} in {len(found)} images, which could be tissue; it was not taken out",
    )


def _mapping(frame: Frame) -> tuple[str, Rescale]:
    """Unit and rescaling of one frame that is no PET image."""
    modality = frame.first("Modality", "")
    if modality == "CT":
        kind = str(frame.first("RescaleType", "")).strip().upper()
        # Only in images of these classes nothing stated means Hounsfield Units (PS3.3 C.8.2.1.1.5).
        hounsfield = kind in _HOUNSFIELD_TYPES or (not kind and frame.first("SOPClassUID") in _CT_CLASSES)
        return HOUNSFIELD if hounsfield else ARBITRARY, frame.rescale
    if modality == "NM":
        return COUNTS, frame.rescale
    for item in frame.values("RealWorldValueMappingSequence"):
        unit, mapped = _real_world(item, frame)
        if unit != ARBITRARY:
            return unit, mapped
    return ARBITRARY, frame.rescale


def _real_world(item: Dataset, frame: Frame) -> tuple[str, Rescale]:
    """Unit and rescaling of a linear real world value map (PS3.3 C.7.6.16.2.11), which starts from stored values.

    Where its numbers have no unit, they tell no more than the rescaling does.
    """
    units = item.get("MeasurementUnitsCodeSequence")
    slope = item.get("RealWorldValueSlope")
    if not units or not slope or str(units[0].get("CodingSchemeDesignator", "")) != "UCUM":
        return ARBITRARY, frame.rescale
    unit = str(units[0].get("CodeValue", ARBITRARY))
    rescale = Rescale(slope=float(slope), intercept=float(item.get("RealWorldValueIntercept") or 0))
    return ("1" if unit in {"1", "[arb'U]", "no units"} else unit), rescale.checked(frame.subject)
