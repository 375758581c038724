"""SUV factors of synthetic headers: units, norms, doses, and refusals where something is missing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from pydicom import Dataset

from dicomnode.domain.errors import ModelError, Unsuitable
from dicomnode.infer.read.petheader import PetHeader
from dicomnode.infer.read.suv import Suv
from dicomnode.infer.read.suv import suv as suv_of

F18 = 6586.2


def suv(ds: Dataset, kind: str = "bw", frame_number: int = 1) -> Suv:
    return suv_of(PetHeader(ds, frame_number), kind)


@pytest.fixture
def header() -> Callable[..., Dataset]:
    """A complete header: 75 kg, 1.85 m, male, 370 MBq 18F one hour before the scan; keywords replace, None removes."""

    def make(**changes: Any) -> Dataset:
        ds, tracer, code = Dataset(), Dataset(), Dataset()
        ds.SOPInstanceUID = "1.2.3"
        ds.Manufacturer = "SIEMENS"
        ds.PatientWeight, ds.PatientSize, ds.PatientSex = 75, 1.85, "M"
        ds.Units, ds.DecayCorrection, ds.CorrectedImage = "BQML", "START", ["DECY", "ATTN"]
        ds.SeriesDate = ds.AcquisitionDate = "20260301"
        ds.SeriesTime = ds.AcquisitionTime = "110000"
        ds.ActualFrameDuration = 120_000
        code.CodeValue, code.CodingSchemeDesignator = "C-111A1", "SRT"
        tracer.RadionuclideCodeSequence = [code]
        tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = 370e6, F18
        tracer.RadiopharmaceuticalStartDateTime = "20260301100000"
        for keyword, value in changes.items():
            owner = tracer if keyword.startswith("Radio") else ds
            if value is None:
                delattr(owner, keyword)
            else:
                setattr(owner, keyword, value)
        ds.RadiopharmaceuticalInformationSequence = [tracer]
        return ds

    return make


def factor(norm_g: float = 75_000, uptake_seconds: float = 3600) -> float:
    return norm_g / (370e6 * 2 ** (-uptake_seconds / F18))


def test_activity_by_decayed_dose_and_weight_is_suv(header: Callable[..., Dataset]) -> None:
    result = suv(header())
    assert result.factor == pytest.approx(factor(), rel=1e-9)
    assert (result.unit, result.warnings) == ("g/ml{SUVbw}", ())


# Norms for 75 kg and 1.85 m as cornerstone's calculate-suv states them; James' with 128 by hand: 82.5 - 128 · 0.16435.
@pytest.mark.parametrize(
    ("kind", "sex", "norm", "unit"),
    [
        ("lbm", "M", 60_915.335886519744, "g/ml{SUVlbm(Janma)}"),
        ("lbm", "F", 49_214.37996837613, "g/ml{SUVlbm(Janma)}"),
        ("lbm", "O", (60_915.335886519744 + 49_214.37996837613) / 2, "g/ml{SUVlbm(Janma)}"),
        ("lbmjames", "M", 61_462.74653, "g/ml{SUVlbm(James128)}"),
        ("lbmjames", "F", 55_925.67567567568, "g/ml{SUVlbm(James128)}"),
        ("bsa", "M", 19_813.758427117766, "cm2/ml{SUVbsa}"),
        ("ibw", "M", 82_980.0, "g/ml{SUVibw}"),
        ("ibw", "F", 75_530.0, "g/ml{SUVibw}"),
    ],
)
def test_every_kind_has_its_norm_and_unit(
    header: Callable[..., Dataset], kind: str, sex: str, norm: float, unit: str
) -> None:
    result = suv(header(PatientSex=sex), kind)
    assert result.factor == pytest.approx(factor(norm), rel=1e-6)
    assert result.unit == unit
    assert bool(result.warnings) == (sex == "O")


def test_an_unknown_kind_is_the_bundles_fault(header: Callable[..., Dataset]) -> None:
    with pytest.raises(ModelError, match="SUV of kind kg, needed one of bw"):
        suv(header(), "kg")


def test_james_formula_is_refused_where_it_turns_negative(header: Callable[..., Dataset]) -> None:
    with pytest.raises(Unsuitable, match="needed a body that its formula holds for"):
        suv(header(PatientWeight=250, PatientSize=1.5), "lbmjames")
    assert suv(header(PatientWeight=250, PatientSize=1.5), "lbm").factor > 0


@pytest.mark.parametrize(
    ("units", "suv_type", "kind", "expected"),
    [
        ("GML", None, "bw", 1.0),
        ("GML", "BW", "bw", 1.0),
        ("GML", "LBMJANMA", "lbm", 1.0),
        ("GML", "LBMJANMA", "bw", 75_000 / 60_915.335886519744),
        ("GML", "LBM", "bw", 75_000 / 62_777.57487216947),
        ("GML", "LBMJAMES128", "bw", 75_000 / 61_462.74653),
        ("GML", "IBW", "bw", 75_000 / 82_980),
        ("GML", "BW", "bsa", 19_813.758427117766 / 75_000),
        ("CM2ML", None, "bsa", 1.0),
        ("CM2ML", "BSA", "bw", 75_000 / 19_813.758427117766),
    ],
)
def test_stored_suv_are_converted_by_the_norms_alone(
    header: Callable[..., Dataset], units: str, suv_type: str | None, kind: str, expected: float
) -> None:
    ds = header(Units=units, RadionuclideTotalDose=None, RadiopharmaceuticalStartDateTime=None)
    if suv_type:
        ds.SUVType = suv_type
    assert suv(ds, kind).factor == pytest.approx(expected, rel=1e-6)


def test_philips_counts_take_the_suv_factor_before_the_activity_factor(header: Callable[..., Dataset]) -> None:
    ds = header(Units="CNTS")
    with pytest.raises(Unsuitable, match=r"counts without a scale factor, needed \(7053,1000\) or \(7053,1009\)"):
        suv(ds)
    block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x09, "DS", "2.5")
    assert suv(ds).factor == pytest.approx(2.5 * factor(), rel=1e-9)
    # Implicit VR leaves private elements as bytes.
    block.add_new(0x00, "UN", b"0.0005 ")
    assert suv(ds).factor == 0.0005
    assert suv(ds, "bsa").factor == pytest.approx(0.0005 * 19_813.758427117766 / 75_000, rel=1e-6)


@pytest.mark.parametrize("units", ["CPS", "PROPCPS", "PROPCNTS", "1CM", "PCNT"])
def test_other_units_give_no_suv(header: Callable[..., Dataset], units: str) -> None:
    with pytest.raises(Unsuitable, match=f"units {units}, needed BQML, GML, CM2ML"):
        suv(header(Units=units))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"PatientWeight": 0}, "no plausible weight: 0 kg, needed 0.2 to 650 kg"),
        ({"PatientWeight": None}, "no plausible weight: none"),
        ({"PatientWeight": 900}, "no plausible weight: 900 kg"),
        ({"RadionuclideTotalDose": None}, "no plausible dose: none, needed 1e\\+06 to 5e\\+09 Bq"),
        ({"RadionuclideTotalDose": 0}, "no plausible dose: 0 Bq"),
        ({"RadionuclideTotalDose": 37_000}, "no plausible dose: 37000 Bq"),
        ({"RadionuclideHalfLife": 110}, "half-life 110 s, needed 6586.2 s for the nuclide that is coded"),
        ({"RadionuclideHalfLife": None, "RadionuclideCodeSequence": None}, "no half-life and no known nuclide"),
        ({"CorrectedImage": ["DECY", "NORM"]}, "not corrected for attenuation"),
        ({"CorrectedImage": ["ATTN", "NORM"]}, "decay correction START, yet corrections ATTN, NORM, needed the two"),
        ({"DecayCorrection": "NONE"}, "decay correction NONE, yet corrections DECY, ATTN"),
        ({"DecayCorrection": None}, "decay correction not stated, needed START, ADMIN or NONE"),
        ({"RescaleIntercept": -5}, "rescale intercept -5, needed 0"),
        ({"Units": "GML", "SUVType": "BSA"}, "SUV type BSA in GML"),
        ({"Units": None}, "units not stated, needed Bq/ml, g/ml or cm2/ml"),
    ],
)
def test_what_is_missing_or_implausible_gives_no_suv(
    header: Callable[..., Dataset], changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unsuitable, match=reason) as caught:
        suv(header(**changes))
    assert str(caught.value).startswith("instance 1.2.3: ")


@pytest.mark.parametrize("size", [None, 0, 5, 400])
def test_an_implausible_height_matters_only_where_it_is_used(
    header: Callable[..., Dataset], size: float | None
) -> None:
    ds = header(PatientSize=size)
    assert suv(ds).factor == pytest.approx(factor())
    with pytest.raises(Unsuitable, match="no plausible height"):
        suv(ds, "lbm")


@pytest.mark.parametrize(
    ("changes", "kind", "same_as", "warning"),
    [
        ({"RadionuclideTotalDose": 370}, "bw", 75_000, "dose taken as MBq"),
        ({"PatientWeight": 75_000}, "bw", 75_000, "weight above 1000 kg taken as grams"),
        ({"PatientSize": 185}, "lbm", 60_915.335886519744, "height above 20 m taken as centimetres"),
        ({"RadionuclideHalfLife": None}, "bw", 75_000, "half-life taken from the nuclide's code"),
    ],
)
def test_a_wrong_unit_that_shows_by_its_size_is_resolved_and_told(
    header: Callable[..., Dataset], changes: dict[str, Any], kind: str, same_as: float, warning: str
) -> None:
    result = suv(header(**changes), kind)
    assert result.factor == pytest.approx(factor(same_as), rel=1e-6)
    assert result.warnings == (warning,)


def test_corrections_that_nobody_states_are_told(header: Callable[..., Dataset]) -> None:
    assert suv(header(CorrectedImage=None)).warnings == ("corrections not stated; attenuation taken as corrected",)


def test_a_number_that_is_none_is_refused(header: Callable[..., Dataset]) -> None:
    ds = header()
    for value in ("heavy", "inf"):
        ds["PatientWeight"]._value = value
        with pytest.raises(Unsuitable, match="PatientWeight that is no"):
            suv(ds)


def enhanced(header: Dataset, unit: str, slopes: tuple[float, ...]) -> Dataset:
    """An enhanced image: units by real world value mapping, one acquisition time per frame."""
    del header.Units, header.DecayCorrection, header.CorrectedImage, header.AcquisitionTime, header.SeriesTime
    header.DecayCorrected = header.AttenuationCorrected = "YES"
    header.DecayCorrectionDateTime = "20260301110000"
    shared = Dataset()
    transformation = Dataset()
    transformation.RescaleSlope, transformation.RescaleIntercept = 2.0, 0.0
    shared.PixelValueTransformationSequence = [transformation]
    header.SharedFunctionalGroupsSequence = [shared]
    header.PerFrameFunctionalGroupsSequence = []
    for slope in slopes:
        groups, mapping, code, content = Dataset(), Dataset(), Dataset(), Dataset()
        setattr(code, "CodeValue" if len(unit) <= 16 else "LongCodeValue", unit)
        mapping.MeasurementUnitsCodeSequence = [code]
        mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = slope, 0.0
        content.FrameAcquisitionDateTime = "20260301110500"
        content.FrameAcquisitionDuration = 120_000.0
        groups.RealWorldValueMappingSequence, groups.FrameContentSequence = [mapping], [content]
        header.PerFrameFunctionalGroupsSequence.append(groups)
    return header


def test_an_enhanced_image_says_units_and_scale_frame_by_frame(header: Callable[..., Dataset]) -> None:
    ds = enhanced(header(), "Bq/ml", (2.0, 3.0))
    assert suv(ds).factor == pytest.approx(factor(), rel=1e-9)
    assert suv(ds, frame_number=2).factor == pytest.approx(1.5 * factor(), rel=1e-9)


def test_a_flat_header_of_one_frame_has_its_own_scale(header: Callable[..., Dataset]) -> None:
    ds = enhanced(header(), "Bq/ml", (2.0, 3.0))
    ds.RealWorldValueMappingSequence = ds.PerFrameFunctionalGroupsSequence[1].RealWorldValueMappingSequence
    del ds.PerFrameFunctionalGroupsSequence
    assert suv(ds).factor == pytest.approx(1.5 * factor(), rel=1e-9)


@pytest.mark.parametrize("unit", ["g/ml{SUVlbm(Janma)}", "{SUVlbm(Janma)}g/ml", "{SUVbw}g/ml"])
def test_an_enhanced_image_of_suv_says_its_kind_in_the_unit(header: Callable[..., Dataset], unit: str) -> None:
    ds = enhanced(header(), unit, (2.0,))
    lean = 75_000 / 60_915.335886519744
    by_weight = "bw" in unit
    assert suv(ds, "lbm").factor == pytest.approx(1 / lean if by_weight else 1.0, rel=1e-6)
    assert suv(ds).factor == pytest.approx(1.0 if by_weight else lean, rel=1e-6)


def test_an_enhanced_image_without_decay_correction_is_taken_at_its_frame(header: Callable[..., Dataset]) -> None:
    ds = enhanced(header(), "Bq/ml", (2.0,))
    ds.DecayCorrected = "NO"
    del ds.DecayCorrectionDateTime
    rate = math.log(2) / F18
    left = math.exp(-rate * 3900) * (1 - math.exp(-rate * 120)) / (rate * 120)
    assert suv(ds).factor == pytest.approx(75_000 / (370e6 * left), rel=1e-9)


def test_an_enhanced_image_without_attenuation_correction_is_refused(header: Callable[..., Dataset]) -> None:
    ds = enhanced(header(), "Bq/ml", (2.0,))
    ds.AttenuationCorrected = "NO"
    with pytest.raises(Unsuitable, match="not corrected for attenuation"):
        suv(ds)


def test_a_legacy_converted_image_keeps_classic_attributes_in_its_groups(header: Callable[..., Dataset]) -> None:
    ds = header()
    moved, shared = Dataset(), Dataset()
    for keyword in ("Units", "DecayCorrection", "CorrectedImage", "SeriesTime", "AcquisitionTime"):
        moved[keyword] = ds[keyword]
        delattr(ds, keyword)
    shared.UnassignedSharedConvertedAttributesSequence = [moved]
    ds.SharedFunctionalGroupsSequence = [shared]
    assert suv(ds).factor == pytest.approx(factor(), rel=1e-9)
