"""The times of a PET image: to what moment its values refer, and when the tracer was injected."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydicom import Dataset

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.decay import decayed, earliest_acquisition
from dicomnode.infer.read.petheader import PetHeader

F18 = 6586.2
ZR89 = 282_280.0


def header(**changes: Any) -> Dataset:
    ds, tracer = Dataset(), Dataset()
    ds.DecayCorrection, ds.CorrectedImage = "START", ["DECY", "ATTN"]
    ds.SeriesDate = ds.AcquisitionDate = "20260301"
    ds.SeriesTime = ds.AcquisitionTime = "110000"
    ds.ActualFrameDuration = 120_000
    tracer.RadiopharmaceuticalStartDateTime = "20260301100000"
    for keyword, value in changes.items():
        owner = tracer if keyword.startswith("Radio") else ds
        if value is None:
            delattr(owner, keyword)
        else:
            setattr(owner, keyword, value)
    ds.RadiopharmaceuticalInformationSequence = [tracer]
    return ds


def uptake_seconds(ds: Dataset, *others: Dataset, half_life: float = F18) -> tuple[float, list[str]]:
    """The time between injection and reference that a fraction of the dose implies, and the warnings."""
    pet = PetHeader(ds)
    left = decayed(pet, half_life, earliest_acquisition(map(PetHeader, others)))
    return -math.log2(left) * half_life, pet.warnings


def plain_uptake_seconds(ds: Dataset) -> float:
    """The same where nothing is unusual."""
    seconds, warnings = uptake_seconds(ds)
    assert warnings == []
    return seconds


def test_a_dose_at_administration_does_not_decay() -> None:
    ds = header(DecayCorrection="ADMIN", SeriesTime=None, AcquisitionTime=None, RadiopharmaceuticalStartDateTime=None)
    assert decayed(PetHeader(ds), F18) == 1.0


def test_a_series_that_starts_with_or_before_its_first_image_is_the_reference() -> None:
    assert plain_uptake_seconds(header()) == pytest.approx(3600)
    assert plain_uptake_seconds(header(AcquisitionTime="112000")) == pytest.approx(3600)


def test_an_acquisition_a_fraction_of_a_second_before_the_series_is_rounding() -> None:
    assert plain_uptake_seconds(header(AcquisitionTime="105959.999995")) == pytest.approx(3600)


def test_a_processed_series_is_traced_back_from_the_mean_time_of_its_frame() -> None:
    # The mean count rate of a 120 s frame of 18F falls 59.874 s into it, since ln(x/(1-e^-x)) = x/2 - x²/24 + ….
    rate = math.log(2) / F18
    within = 60 - rate * 120**2 / 24
    ds = header(SeriesTime="150000", AcquisitionTime="111000", FrameReferenceTime=(600 + within) * 1000)
    seconds, warnings = uptake_seconds(ds)
    assert seconds == pytest.approx(3600, abs=0.01)
    assert warnings == [
        "series time missing or later than acquisition: decay corrected to the start that the frame times imply"
    ]


def test_ge_counts_frame_reference_time_to_the_start_of_the_frame() -> None:
    ds = header(
        Manufacturer="GE MEDICAL SYSTEMS", SeriesTime="150000", AcquisitionTime="111000", FrameReferenceTime=600_000
    )
    assert uptake_seconds(ds)[0] == pytest.approx(3600, abs=1e-6)


def test_a_processed_series_without_frame_times_is_traced_to_its_earliest_acquisition() -> None:
    late = header(SeriesTime="150000", AcquisitionTime="111000")
    early = header(SeriesTime="150000", AcquisitionTime="110000")
    for ds in (late, early):
        seconds, warnings = uptake_seconds(ds, late, early)
        assert seconds == pytest.approx(3600)
        assert warnings == [
            "series time missing or later than acquisition: decay corrected to the earliest acquisition"
        ]


@pytest.mark.parametrize(
    ("group", "element", "creator"), [(0x0009, 0x0D, "GEMS_PETD_01"), (0x0071, 0x22, "SIEMENS MED PT")]
)
def test_a_private_date_of_decay_correction_goes_first_if_it_fits(group: int, element: int, creator: str) -> None:
    ds = header(SeriesTime="150000", AcquisitionTime="111000")
    ds.private_block(group, creator, create=True).add_new(element, "DT", "20260301110000.00")
    assert plain_uptake_seconds(ds) == pytest.approx(3600)
    ds = header()
    ds.private_block(group, creator, create=True).add_new(element, "DT", "20140301110000.00")
    seconds, warnings = uptake_seconds(ds)
    assert seconds == pytest.approx(3600)
    assert warnings == ["private date of decay correction does not fit the acquisition and was not used"]


def test_a_private_date_of_another_vendor_is_not_read() -> None:
    ds = header()
    ds.private_block(0x0009, "SOMEBODY ELSE", create=True).add_new(0x0D, "LO", "20260301103000")
    assert plain_uptake_seconds(ds) == pytest.approx(3600)


def test_the_standards_date_of_decay_correction_goes_before_all() -> None:
    ds = header(DecayCorrectionDateTime="20260301103000", AcquisitionTime="104000")
    assert plain_uptake_seconds(ds) == pytest.approx(1800)


def test_a_decay_correction_to_the_injection_of_days_ago_leaves_the_whole_dose() -> None:
    ds = header(DecayCorrectionDateTime="20260225110000", RadiopharmaceuticalStartDateTime="20260225110000")
    assert decayed(PetHeader(ds), ZR89) == 1.0


def test_frame_times_that_contradict_the_series_time_are_told() -> None:
    seconds, warnings = uptake_seconds(header(FrameReferenceTime=1_328_700))
    assert seconds == pytest.approx(3600)
    assert warnings == ["series time and frame reference time differ by more than a frame; the series time was used"]


def test_an_uncorrected_image_counts_at_the_mean_of_its_frame() -> None:
    ds = header(DecayCorrection="NONE", CorrectedImage=["ATTN"], AcquisitionTime="111000")
    rate = math.log(2) / F18
    steps = [math.exp(-rate * (4200 + 120 * (i + 0.5) / 1000)) for i in range(1000)]
    assert decayed(PetHeader(ds), F18) == pytest.approx(sum(steps) / 1000, rel=1e-8)


@pytest.mark.parametrize("missing", ["ActualFrameDuration", "AcquisitionTime"])
def test_an_uncorrected_image_without_its_times_is_refused(missing: str) -> None:
    ds = header(DecayCorrection="NONE", CorrectedImage=["ATTN"], **{missing: None})
    with pytest.raises(Unsuitable, match="not decay-corrected and without time and duration of acquisition"):
        decayed(PetHeader(ds), F18)


def test_a_time_of_injection_without_date_is_on_the_day_of_the_scan() -> None:
    ds = header(RadiopharmaceuticalStartDateTime=None, RadiopharmaceuticalStartTime="100000.00")
    assert plain_uptake_seconds(ds) == pytest.approx(3600)


def test_a_time_of_injection_without_date_may_be_before_midnight() -> None:
    ds = header(
        SeriesTime="003000",
        AcquisitionTime="003000",
        RadiopharmaceuticalStartDateTime=None,
        RadiopharmaceuticalStartTime="233000",
    )
    assert plain_uptake_seconds(ds) == pytest.approx(3600)


def test_a_date_of_injection_before_midnight_is_taken_as_it_is() -> None:
    ds = header(SeriesTime="003000", AcquisitionTime="003000", RadiopharmaceuticalStartDateTime="20260228233000")
    assert plain_uptake_seconds(ds) == pytest.approx(3600)


def test_an_acquisition_after_midnight_belongs_to_its_own_date() -> None:
    ds = header(
        SeriesTime="235000",
        AcquisitionDate="20260302",
        AcquisitionTime="001000",
        RadiopharmaceuticalStartDateTime="20260301225000",
    )
    assert plain_uptake_seconds(ds) == pytest.approx(3600)


def test_an_injection_after_the_scan_is_refused() -> None:
    with pytest.raises(Unsuitable, match="injection 1800 s after the scan, needed before it"):
        decayed(PetHeader(header(RadiopharmaceuticalStartDateTime="20260301113000")), F18)
    ds = header(RadiopharmaceuticalStartDateTime=None, RadiopharmaceuticalStartTime="113000")
    with pytest.raises(Unsuitable, match="injection 1800 s after or 84600 s before the scan"):
        decayed(PetHeader(ds), F18)


def test_an_uptake_of_which_nothing_is_left_is_refused() -> None:
    with pytest.raises(Unsuitable, match="injection 39600 s before the scan, needed at most 39517 s"):
        decayed(PetHeader(header(RadiopharmaceuticalStartDateTime="20260301000000")), F18)


def test_a_date_that_an_anonymiser_shifted_leaves_the_time_of_day() -> None:
    for date in ("20260302", "20251224"):
        seconds, warnings = uptake_seconds(header(RadiopharmaceuticalStartDateTime=f"{date}100000"))
        assert seconds == pytest.approx(3600)
        assert warnings == ["date of injection does not fit the date of the scan; its time of day was used"]


def test_a_long_lived_tracer_needs_its_date() -> None:
    ds = header(RadiopharmaceuticalStartDateTime="20260225110000")
    assert uptake_seconds(ds, half_life=ZR89)[0] == pytest.approx(4 * 86_400)
    ds = header(RadiopharmaceuticalStartDateTime=None, RadiopharmaceuticalStartTime="100000")
    with pytest.raises(Unsuitable, match="no date of injection, needed Radiopharmaceutical Start Date Time"):
        decayed(PetHeader(ds), ZR89)
    ds = header(RadiopharmaceuticalStartDateTime="20260302110000")
    with pytest.raises(Unsuitable, match="a date of injection that does not fit the scan's"):
        decayed(PetHeader(ds), ZR89)


def test_no_time_at_all_is_refused() -> None:
    with pytest.raises(Unsuitable, match="no time of injection"):
        decayed(PetHeader(header(RadiopharmaceuticalStartDateTime=None)), F18)
    with pytest.raises(Unsuitable, match="no series time and no acquisition time"):
        decayed(PetHeader(header(SeriesTime=None, AcquisitionTime=None)), F18)


def test_an_offset_from_utc_is_brought_to_the_devices_time() -> None:
    ds = header(RadiopharmaceuticalStartDateTime="20260301090000+0000", TimezoneOffsetFromUTC="+0100")
    assert uptake_seconds(ds)[0] == pytest.approx(3600)
    ds = header(RadiopharmaceuticalStartDateTime="20260301100000+0100")
    assert uptake_seconds(ds)[0] == pytest.approx(3600)


def test_a_garbled_time_is_refused() -> None:
    ds = header()
    ds["SeriesTime"]._value = "noon"
    with pytest.raises(Unsuitable, match="SeriesTime that is no date or time"):
        decayed(PetHeader(ds), F18)
