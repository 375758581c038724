"""A patient's weight, lean mass, ideal weight and surface, by which SUV are normalised."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dicomnode.infer.read.petheader import PetHeader

#: From the lightest infant that survived (0.2 kg) to the heaviest patient recorded (635 kg).
WEIGHT_KG = (0.2, 650.0)

#: From a preterm infant of 20 cm to the tallest man recorded (2.72 m).
SIZE_M = (0.2, 2.75)

#: IBSI's manual on SUV, section on weight: larger values were entered in grams.
LARGEST_KG = 1000.0


def weight_kg(header: PetHeader) -> float:
    """Patient's Weight (0010,1030).

    Raises
    ------
    Unsuitable
        If it is missing or implausible.
    """
    weight = header.number("PatientWeight")
    if weight is not None and weight > LARGEST_KG:
        weight /= 1000
        header.warn("weight above 1000 kg taken as grams")
    if weight is None or not WEIGHT_KG[0] <= weight <= WEIGHT_KG[1]:
        found = "none" if weight is None else f"{weight:g} kg"
        raise header.unsuitable(f"no plausible weight: {found}, needed {WEIGHT_KG[0]:g} to {WEIGHT_KG[1]:g} kg")
    return weight


def size_m(header: PetHeader) -> float:
    """Patient's Size (0010,1020), the body height.

    Raises
    ------
    Unsuitable
        If it is missing or implausible.
    """
    size = header.number("PatientSize")
    if size is not None and SIZE_M[0] * 100 <= size <= SIZE_M[1] * 100:
        size /= 100
        header.warn("height above 20 m taken as centimetres")
    if size is None or not SIZE_M[0] <= size <= SIZE_M[1]:
        found = "none" if size is None else f"{size:g} m"
        raise header.unsuitable(f"no plausible height: {found}, needed {SIZE_M[0]:g} to {SIZE_M[1]:g} m")
    return size


def _janmahasatian(weight: float, height_cm: float, male: bool) -> float:
    """Clin Pharmacokinet 2005;44:1051; kg."""
    bmi = weight / (height_cm / 100) ** 2
    return 9270 * weight / (6680 + 216 * bmi if male else 8780 + 244 * bmi)


def _james(weight: float, height_cm: float, male: bool) -> float:
    """James 1976 with the factor 128 for men, as first published; kg."""
    return 1.10 * weight - 128 * (weight / height_cm) ** 2 if male else _female(weight, height_cm)


def _morgan(weight: float, height_cm: float, male: bool) -> float:
    """James' formula with 120 for men, as Morgan and Bray 1994 quoted it; kg."""
    return 1.10 * weight - 120 * (weight / height_cm) ** 2 if male else _female(weight, height_cm)


def _female(weight: float, height_cm: float) -> float:
    return 1.07 * weight - 148 * (weight / height_cm) ** 2


def _ideal(weight: float, height_cm: float, male: bool) -> float:
    """Sugawara 1999, Radiology 213:521; kg."""
    return 48.0 + 1.06 * (height_cm - 152) if male else 45.5 + 0.91 * (height_cm - 152)


_BY_SEX: Mapping[str, Callable[[float, float, bool], float]] = {
    "lbm": _janmahasatian,
    "lbmjames": _james,
    "lbmmorgan": _morgan,
    "ibw": _ideal,
}


def norm(header: PetHeader, kind: str) -> float:
    """What an activity concentration over dose is multiplied by to give SUV: g, or cm2 for `bsa`.

    Sex other than M or F takes the mean of both formulas, as IBSI's manual on SUV proposes.

    Raises
    ------
    Unsuitable
        If weight, or the height where the kind needs it, is missing, or a formula does not hold for this body.
    """
    weight = weight_kg(header)
    if kind == "bw":
        return weight * 1000
    height_cm = size_m(header) * 100
    if kind == "bsa":
        # Du Bois 1916, m2 to cm2.
        return float(0.007184 * height_cm**0.725 * weight**0.425) * 10_000
    sex = header.text("PatientSex")
    sexes = {"M": (True,), "F": (False,)}.get(sex, (True, False))
    if len(sexes) > 1:
        header.warn(f"sex {sex or 'not stated'}: mean of the formulas for men and women")
    masses = [_BY_SEX[kind](weight, height_cm, male) for male in sexes]
    mass = sum(masses) / len(masses)
    if not 0 < mass <= (weight if kind != "ibw" else WEIGHT_KG[1]):
        raise header.unsuitable(
            f"{kind} of {mass:.1f} kg from {weight:g} kg and {height_cm:g} cm, needed a body that its formula holds for"
        )
    return mass * 1000
