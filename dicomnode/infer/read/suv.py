"""The factor that turns the rescaled values of one PET image into standardised uptake values (SUV)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dicomnode.domain.errors import ModelError
from dicomnode.infer.read.basis import Basis, patient, require_one_tracer, tracer
from dicomnode.infer.read.body import norm
from dicomnode.infer.read.decay import decayed
from dicomnode.infer.read.dose import dose_bq, half_life_seconds
from dicomnode.infer.read.petheader import PetHeader

#: UCUM unit by kind (CID 85). `lbm` is Janmahasatian's lean body mass, which rises with weight throughout, whereas
#: James' parabola (`lbmjames`) falls again in obese patients and ends below zero (Clin Pharmacokinet 2005;44:1051).
UNITS: Mapping[str, str] = {
    "bw": "g/ml{SUVbw}",
    "lbm": "g/ml{SUVlbm(Janma)}",
    "lbmjames": "g/ml{SUVlbm(James128)}",
    "bsa": "cm2/ml{SUVbsa}",
    "ibw": "g/ml{SUVibw}",
}

#: SUV Type (0054,1006) to the norm that was used; body weight where nothing is stated (PS3.3 C.8.9.1).
SUV_TYPES: Mapping[str, str] = {
    "": "bw",
    "BW": "bw",
    "LBM": "lbmmorgan",
    "LBMJAMES128": "lbmjames",
    "LBMJANMA": "lbm",
    "BSA": "bsa",
    "IBW": "ibw",
}

#: UCUM unit of a real world value mapping (CID 84), without its annotation, to the term of Units (0054,1001).
TERMS: Mapping[str, str] = {"BQ/ML": "BQML", "G/ML": "GML", "CM2/ML": "CM2ML"}

#: The annotation of such a unit to the SUV Type that it stands for (CID 85).
ANNOTATIONS: Mapping[str, str] = {
    "SUVBW": "BW",
    "SUVLBM": "LBM",
    "SUVLBM(JAMES128)": "LBMJAMES128",
    "SUVLBM(JANMA)": "LBMJANMA",
    "SUVBSA": "BSA",
    "SUVIBW": "IBW",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suv:
    """How rescaled values become SUV.

    Attributes
    ----------
    factor
        SUV = factor × rescaled value, for this image alone.
    unit
        UCUM unit of the result.
    basis
        What of patient and tracer the factor rests on, by name.
    warnings
        What was unusual but could be resolved.
    """

    factor: float
    unit: str
    basis: Basis = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()


def suv(header: PetHeader, kind: str = "bw", *, earliest: datetime | None = None) -> Suv:
    """The factor for one image (PS3.3 C.8.9; QIBA's vendor-neutral pseudo-code; IBSI's manual on SUV).

    Parameters
    ----------
    header
        Of the image or frame; its values are taken as rescaled by slope and intercept.
    kind
        `bw` body weight, `lbm` lean body mass (Janmahasatian), `lbmjames` (James), `bsa` body surface (Du Bois),
        `ibw` ideal body weight.
    earliest
        Acquisition of the series' first image (`earliest_acquisition`), needed where a processed series states no
        better reference for its decay correction.

    Raises
    ------
    Unsuitable
        If weight, dose, times, units or corrections are missing or implausible, or several tracers were injected.
    ModelError
        If the kind is unknown.
    """
    if kind not in UNITS:
        raise ModelError(f"SUV of kind {kind}, needed one of {', '.join(UNITS)}")
    _require_corrected(header)
    quantity, stored, scale = _quantity(header)
    factor, basis = 1.0, {}
    if quantity == "SUV" and stored != kind:
        factor, basis = norm(header, kind) / norm(header, stored), patient(header)
    elif quantity != "SUV":
        require_one_tracer(header)
        factor = norm(header, kind) / (dose_bq(header) * _remaining(header, earliest))
        basis = {**patient(header), **tracer(header)}
    return Suv(factor=scale * factor, unit=UNITS[kind], basis=basis, warnings=tuple(header.warnings))


def _remaining(pet: PetHeader, earliest: datetime | None) -> float:
    if pet.text("DecayCorrection") == "ADMIN":
        return decayed(pet, 1.0)
    return decayed(pet, half_life_seconds(pet), earliest)


def _require_corrected(pet: PetHeader) -> None:
    done, enhanced = pet.texts("CorrectedImage"), pet.text("AttenuationCorrected")
    if enhanced == "NO" or (done and "ATTN" not in done):
        raise pet.unsuitable("not corrected for attenuation, needed a corrected image (PS3.3 C.8.9.1)")
    if not done and not enhanced:
        pet.warn("corrections not stated; attenuation taken as corrected")
    if pet.number("RescaleIntercept"):
        raise pet.unsuitable(f"rescale intercept {pet.number('RescaleIntercept'):g}, needed 0 (PS3.3 C.8.9.4)")


def _quantity(pet: PetHeader) -> tuple[str, str, float]:
    """What the rescaled values are: `BQML` or `SUV`, its kind, and by what they are multiplied to be in that unit."""
    units = pet.text("Units")
    if not units:
        return _mapped(pet)
    if units == "CNTS":
        # Philips' conformance statements: SUV by body weight, and Bq/ml, from counts; 0 where it cannot be had.
        for element, quantity in ((0x00, "SUV"), (0x09, "BQML")):
            scale = pet.private_number(0x7053, element, "private scale factor")
            if scale > 0:
                return quantity, "bw", scale
        raise pet.unsuitable("counts without a scale factor, needed (7053,1000) or (7053,1009)")
    return (*_stored(pet, units, pet.text("SUVType")), 1.0)


def _stored(pet: PetHeader, units: str, suv_type: str) -> tuple[str, str]:
    """Quantity and kind by Units and SUV Type."""
    if units == "BQML":
        return "BQML", ""
    if units not in {"GML", "CM2ML"}:
        raise pet.unsuitable(f"units {units}, needed BQML, GML, CM2ML, or CNTS with a scale factor")
    stored = SUV_TYPES.get(suv_type or ("BSA" if units == "CM2ML" else ""))
    if stored is None or (stored == "bsa") != (units == "CM2ML"):
        raise pet.unsuitable(f"SUV type {suv_type} in {units}, needed one of PS3.3 C.8.9.1")
    return "SUV", stored


def _mapped(pet: PetHeader) -> tuple[str, str, float]:
    """Quantity of an enhanced image, from its real world value mapping (PS3.3 C.7.6.16.2.11)."""
    measured = pet.item("MeasurementUnitsCodeSequence")
    # Codes of more than 16 characters are long ones (PS3.3 8.1).
    code = measured.text("CodeValue") or measured.text("LongCodeValue")
    annotation = re.search(r"{(.*)}", code)
    term = TERMS.get(re.sub(r"{.*}", "", code))
    slope, intercept = pet.number("RealWorldValueSlope"), pet.number("RealWorldValueIntercept")
    if term is None or not slope or intercept:
        raise pet.unsuitable(f"units {code or 'not stated'}, needed Bq/ml, g/ml or cm2/ml through a slope alone")
    suv_type = ANNOTATIONS.get(annotation[1], annotation[1]) if annotation else pet.text("SUVType")
    return (*_stored(pet, term, suv_type), slope / (pet.number("RescaleSlope") or 1.0))
