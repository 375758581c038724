"""The injected activity and the half-life of its nuclide, checked for units and against the nuclide's code."""

from __future__ import annotations

from collections.abc import Mapping

from dicomnode.infer.read.petheader import PetHeader

#: What is injected for PET, from a rat's share to two patient doses of 82Rb (2.2 GBq each).
DOSE_BQ = (1e6, 5e9)

#: Half-lives in seconds, which tables of evaluated data give within 2 % of these, by the codes of CID 4020, SRT and
#: SNOMED CT.
HALF_LIFE_SECONDS: Mapping[str, float] = {
    code: seconds
    for seconds, codes in (
        (6586.2, ("C-111A1", "77004003")),  # 18F
        (1221.8, ("C-105A1", "40565003")),  # 11C
        (597.9, ("C-107A1", "21576001")),  # 13N
        (122.2, ("C-B1038", "129504001")),  # 15O
        (4062.6, ("C-131A3", "35337001")),  # 68Ga
        (45_724.0, ("C-127A2", "3932008")),  # 64Cu
        (282_280.0, ("C-168A4", "63360001")),  # 89Zr
        (360_800.0, ("C-114A5", "40937006")),  # 124I
        (76.4, ("C-159A2", "79197006")),  # 82Rb
    )
    for code in codes
}

#: Vendors' tables differ by up to 2 % (82Rb: 75 to 76.4 s); no two nuclides above are nearer than 35 %.
HALF_LIFE_TOLERANCE = 0.05


def dose_bq(header: PetHeader) -> float:
    """Radionuclide Total Dose (0018,1074) in Bq; MBq, which other IODs prescribe, is known by its size.

    Raises
    ------
    Unsuitable
        If it is missing or implausible in both units.
    """
    dose = header.item("RadiopharmaceuticalInformationSequence").number("RadionuclideTotalDose")
    low, high = DOSE_BQ
    if dose is not None and low <= dose * 1e6 <= high:
        header.warn("dose taken as MBq")
        return dose * 1e6
    if dose is None or not low <= dose <= high:
        found = "none" if dose is None else f"{dose:g} Bq"
        raise header.unsuitable(f"no plausible dose: {found}, needed {low:g} to {high:g} Bq")
    return dose


def half_life_seconds(header: PetHeader) -> float:
    """Radionuclide Half Life (0018,1075), or that of the coded nuclide (0054,0300).

    Raises
    ------
    Unsuitable
        If neither is known, or they contradict each other.
    """
    tracer = header.item("RadiopharmaceuticalInformationSequence")
    stated = tracer.number("RadionuclideHalfLife")
    known = HALF_LIFE_SECONDS.get(tracer.item("RadionuclideCodeSequence").text("CodeValue"))
    if not stated and known:
        header.warn("half-life taken from the nuclide's code")
        return known
    if stated is None or stated <= 0:
        raise header.unsuitable("no half-life and no known nuclide, needed one")
    if known and abs(stated / known - 1) > HALF_LIFE_TOLERANCE:
        raise header.unsuitable(f"half-life {stated:g} s, needed {known:g} s for the nuclide that is coded")
    return stated
