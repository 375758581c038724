"""When a tracer was injected, to what moment a PET image is decay-corrected, and what is left between the two."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from dicomnode.infer.read.petheader import PetHeader

#: Beyond this nothing is imaged: late protocols reach 4.4 half-lives (11C at 90 min), 3.8 (64Cu at 48 h), 2.7 (18F at
#: 5 h); after six, 1.6 % of the dose is left.
UPTAKE_HALF_LIVES = 6.0

DAY_SECONDS = 86_400.0

#: Series Time is often written in whole seconds where Acquisition Time has a fraction.
ROUNDING_SECONDS = 1.0


def decayed(header: PetHeader, half_life_seconds: float, earliest: datetime | None = None) -> float:
    """The fraction of the injected dose to which the image's values refer.

    Parameters
    ----------
    earliest
        Acquisition of the series' first image, for series that state no better reference.

    Raises
    ------
    Unsuitable
        If corrections or times are missing, contradictory or implausible.
    """
    correction = _correction(header)
    if correction == "ADMIN":
        return 1.0
    rate = math.log(2) / half_life_seconds
    if correction == "START":
        reference = _reference(header, rate, earliest)
        return math.exp(-rate * _uptake_seconds(header, reference, half_life_seconds))
    # Not corrected: the mean over the frame (IBSI's manual on SUV, decay correction NONE).
    acquired, frame = acquisition(header), _frame_seconds(header)
    if acquired is None or frame <= 0:
        raise header.unsuitable("not decay-corrected and without time and duration of acquisition, needed both")
    uptake = _uptake_seconds(header, acquired, half_life_seconds)
    return math.exp(-rate * uptake) * -math.expm1(-rate * frame) / (rate * frame)


def _correction(header: PetHeader) -> str:
    """ADMIN, START or NONE (0054,1102), held against Corrected Image (0028,0051) and what enhanced images say."""
    stated, done = header.text("DecayCorrection"), header.texts("CorrectedImage")
    applied = {"YES": True, "NO": False}.get(header.text("DecayCorrected"), "DECY" in done if done else None)
    if not stated and applied is False:
        stated = "NONE"
    if not stated and header.value("DecayCorrectionDateTime") is not None:
        stated = "START"
    if stated not in {"ADMIN", "START", "NONE"}:
        raise header.unsuitable(
            f"decay correction {stated or 'not stated'}, needed START, ADMIN or NONE (PS3.3 C.8.9.1)"
        )
    if applied is not None and applied != (stated != "NONE"):
        raise header.unsuitable(
            f"decay correction {stated}, yet corrections {', '.join(done) or header.text('DecayCorrected')}, "
            "needed the two to agree"
        )
    return stated


def acquisition(header: PetHeader) -> datetime | None:
    """The start of this image's acquisition, if it is stated."""
    return (
        header.moment_of("Acquisition")
        or header.moment("FrameAcquisitionDateTime")
        or header.moment("AcquisitionDateTime")
    )


def earliest_acquisition(headers: Iterable[PetHeader]) -> datetime | None:
    """The start of the first image's acquisition, of those that state it.

    Raises
    ------
    Unsuitable
        If a time cannot be read.
    """
    return min((moment for header in headers if (moment := acquisition(header))), default=None)


def _frame_seconds(header: PetHeader) -> float:
    """Actual Frame Duration (0018,1242), or Frame Acquisition Duration (0018,9220) of enhanced images; 0 without."""
    return (header.number("ActualFrameDuration") or header.number("FrameAcquisitionDuration") or 0.0) / 1000


def _reference(header: PetHeader, rate: float, earliest: datetime | None) -> datetime:
    """The moment to which START corrects, in the order of QIBA's vendor-neutral pseudo-code for SUV.

    The decay correction's own date and time (standard in enhanced images, private ones of GE and Siemens); the series'
    unless it is later than the acquisition, as after post-processing; back from the frame's mean time; the series'
    earliest acquisition.
    """
    stated = header.moment("DecayCorrectionDateTime")
    if stated is not None:
        return stated
    acquired = acquisition(header)
    private = header.private_moment(0x0009, 0x0D, "GEMS_PETD_01", "GE PET scan date and time") or header.private_moment(
        0x0071, 0x22, "SIEMENS MED PT", "Siemens decay correction date and time"
    )
    if private is not None:
        # An anonymiser that shifts dates seldom shifts private ones.
        if acquired is None or -ROUNDING_SECONDS <= (acquired - private).total_seconds() < DAY_SECONDS:
            return private
        header.warn("private date of decay correction does not fit the acquisition and was not used")
    begun = header.moment_of("Series")
    computed = _from_frame(header, acquired, rate)
    if begun is not None and (acquired is None or begun <= acquired + timedelta(seconds=ROUNDING_SECONDS)):
        allowed = _frame_seconds(header) + ROUNDING_SECONDS
        if computed is not None and abs((computed - begun).total_seconds()) > allowed:
            header.warn("series time and frame reference time differ by more than a frame; the series time was used")
        return begun
    if computed is not None:
        header.warn(
            "series time missing or later than acquisition: decay corrected to the start that the frame times imply"
        )
        return computed
    known = [moment for moment in (acquired, earliest) if moment is not None]
    if not known:
        raise header.unsuitable("no series time and no acquisition time, needed one for the decay of the dose")
    header.warn("series time missing or later than acquisition: decay corrected to the earliest acquisition")
    return min(known)


def _from_frame(header: PetHeader, acquired: datetime | None, rate: float) -> datetime | None:
    """Start of the scan from Frame Reference Time (0054,1300), the offset in ms of the moment of mean count rate.

    GE states the offset of the frame's beginning instead (Discovery ST: equal to acquisition less series time).
    """
    offset, frame = header.number("FrameReferenceTime"), _frame_seconds(header)
    if acquired is None or not offset or offset < 0 or frame <= 0:
        return None
    within = math.log(rate * frame / -math.expm1(-rate * frame)) / rate
    if header.text("Manufacturer").startswith("GE "):
        within = 0.0
    return acquired + timedelta(seconds=within - offset / 1000)


def _uptake_seconds(header: PetHeader, reference: datetime, half_life_seconds: float) -> float:
    """Time from injection to `reference`.

    A time of day without date, or with one that an anonymiser made impossible, is unambiguous only for nuclides of
    which nothing is left after a day.
    """
    longest = UPTAKE_HALF_LIVES * half_life_seconds
    tracer = header.item("RadiopharmaceuticalInformationSequence")
    injected = tracer.moment("RadiopharmaceuticalStartDateTime")
    clock = injected.time() if injected else tracer.clock("RadiopharmaceuticalStartTime")
    if clock is None:
        raise header.unsuitable("no time of injection, needed Radiopharmaceutical Start Date Time (0018,1078)")
    if injected is not None:
        uptake = (reference - injected).total_seconds()
        if -ROUNDING_SECONDS <= uptake <= longest:
            return uptake
        if injected.date() == reference.date():
            raise header.unsuitable(
                f"injection {-uptake:.0f} s after the scan, needed before it"
                if uptake < 0
                else f"injection {uptake:.0f} s before the scan, needed at most {_most(half_life_seconds)}"
            )
    if longest >= DAY_SECONDS:
        found = "a date of injection that does not fit the scan's" if injected else "no date of injection"
        raise header.unsuitable(
            f"{found}, needed Radiopharmaceutical Start Date Time for a half-life of {half_life_seconds:.0f} s"
        )
    uptake = (reference - datetime.combine(reference.date(), clock)).total_seconds() % DAY_SECONDS
    if DAY_SECONDS - uptake <= ROUNDING_SECONDS:
        uptake -= DAY_SECONDS
    if uptake > longest:
        raise header.unsuitable(
            f"injection {DAY_SECONDS - uptake:.0f} s after or {uptake:.0f} s before the scan, "
            f"needed before it by at most {_most(half_life_seconds)}"
        )
    if injected is not None:
        header.warn("date of injection does not fit the date of the scan; its time of day was used")
    return uptake


def _most(half_life_seconds: float) -> str:
    """The longest uptake in words, with the half-life: one in minutes where seconds are due shows there."""
    longest = UPTAKE_HALF_LIVES * half_life_seconds
    return f"{longest:.0f} s, {UPTAKE_HALF_LIVES:g} times the half-life of {half_life_seconds:g} s"
