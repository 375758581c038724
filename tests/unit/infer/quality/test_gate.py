"""What a series must be for a model: checks input by input, and what their failure means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom import Volume
from pydicom import dcmread
from pydicom.misc import is_dicom

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Check, SourceSeries
from dicomnode.domain.model import CheckSpec, InputSpec, ModelSpec, Severity
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.quality import gate
from dicomnode.infer.read.volume import read_series
from tests.headers import series

Make = Callable[..., ModelSpec]
AsSource = Callable[[Volume], SourceSeries]

MODELS = Path(__file__).parents[4] / "models"


def required(source: SourceSeries, spec: ModelSpec) -> tuple[str, ...]:
    return gate.require(gate.check([source], spec), "series 1.2.3")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("slice_spacing_mm = [0.5", "slice_spacing_mm = [2.5", "slice spacing mm: 2 mm, needed 2.5 to 6 mm"),
        (
            "pixel_spacing_mm = [0.5, 3.0]",
            "pixel_spacing_mm = [0.5, 1.4]",
            "pixel spacing mm: 1.5 × 1.25 mm, needed 0.5 to 1.4 mm",
        ),
        ("minimum_slices = 4", "minimum_slices = 20", "minimum slices: 14 slices, needed 20 or more"),
        (
            'orientations = ["axial", "coronal"',
            'orientations = ["coronal"',
            "orientations: axial slices, needed coronal or sagittal slices",
        ),
        (
            'clip"\nrange = [-1000.0',
            'clip"\nrange = [950.0',
            "intensities: intensities from -900 to 900, needed contrast between 950 and 1000",
        ),
    ],
)
def test_a_series_outside_the_range_is_refused(
    phantom: Volume, as_source: AsSource, bundle: Make, old: str, new: str, said: str
) -> None:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    with pytest.raises(Unsuitable) as refusal:
        required(as_source(phantom), bundle(edit=edit))
    assert str(refusal.value) == f"series 1.2.3: {said}"
    assert [check.text for check in refusal.value.checks if not check.passed] == [said]


def test_a_refusal_names_everything_that_blocks_and_carries_all_checks() -> None:
    checks = [
        Check(rule="rows", found="6 rows", limit="256 to 512 rows", passed=False),
        Check(rule="columns", found="8 columns", limit="8 to 9 columns", passed=True),
        Check(rule="kvp", found="70 kV", limit="80 to 140 kV", passed=False, severity=Severity.WARN),
        Check(rule="minimum_slices", found="4 slices", limit="20 or more", passed=False),
    ]
    with pytest.raises(Unsuitable) as refusal:
        gate.require(checks, "series 1.2.3")
    assert str(refusal.value) == (
        "series 1.2.3: rows: 6 rows, needed 256 to 512 rows; minimum slices: 4 slices, needed 20 or more"
    )
    assert refusal.value.checks == tuple(checks)
    assert gate.require(checks[1:3], "series 1.2.3") == ("kvp: 70 kV, needed 80 to 140 kV",)


def test_an_image_without_contrast_is_refused(phantom: Volume, as_source: AsSource, bundle: Make) -> None:
    with pytest.raises(Unsuitable, match="contrast"):
        required(as_source(phantom.with_array(np.zeros_like(phantom.array))), bundle())


def test_a_suitable_series_carries_no_warning(phantom: Volume, as_source: AsSource, bundle: Make) -> None:
    checks = gate.check([as_source(phantom)], bundle())
    assert gate.require(checks, "series 1.2.3") == ()
    assert {check.rule for check in checks} == {
        "constant_image", "intensities", "rescale", "rescale_type",
        "slice_spacing_mm", "pixel_spacing_mm", "minimum_slices", "orientations",
    }  # fmt: skip


@pytest.mark.parametrize("severity", [Severity.BLOCK, Severity.WARN])
def test_the_bundle_says_what_a_failure_does(phantom: Volume, as_source: AsSource, bundle: Make, severity: str) -> None:
    limit = f'minimum_slices = {{ limit = 20, otherwise = "{severity}" }}'
    checks = gate.check([as_source(phantom)], bundle(edit=lambda text: text.replace("minimum_slices = 4", limit)))
    failed = [check for check in checks if not check.passed]
    assert [(check.rule, check.severity) for check in failed] == [("minimum_slices", severity)]


@pytest.mark.parametrize(
    ("unknown", "passed", "severity"),
    [(None, True, Severity.BLOCK), (Severity.WARN, False, Severity.WARN), (Severity.BLOCK, False, Severity.BLOCK)],
)
def test_what_the_headers_do_not_tell_passes_warns_or_blocks(
    bundle: Make, unknown: Severity | None, passed: bool, severity: Severity
) -> None:
    spec = replace(bundle(), valid=(CheckSpec(rule="kvp", limit=(80, 140), unknown=unknown),))
    (check,) = (one for one in gate.check([series()], spec) if one.rule == "kvp")
    assert (check.found, check.passed, check.severity) == ("not stated", passed, severity)


def test_every_input_is_held_against_its_own_limits(bundle: Make) -> None:
    spec = replace(
        bundle(),
        inputs=(InputSpec(name="ct", conditions=()), InputSpec(name="pet", conditions=())),
        valid=(
            CheckSpec(rule="modality", limit=("CT",)),
            CheckSpec(rule="units", limit=("g/ml{SUVbw}",), input="pet"),
            CheckSpec(rule="kvp", limit=(80, 140), input="ct"),
        ),
    )
    ct = series(RescaleSlope=1, RescaleIntercept=0, KVP=120)
    pet = series(Modality="PT", unit="Bq/ml")
    checks = gate.check([ct, pet], spec)
    stated = [check.rule for check in checks if check.rule.split(": ")[1] in {"modality", "units", "kvp"}]
    assert stated == ["ct: modality", "ct: kvp", "pet: units"]
    assert [check.text for check in checks if not check.passed] == [
        "pet: units: intensities in Bq/ml, needed g/ml{SUVbw}"
    ]


def petct(bundle: Make, *valid: CheckSpec) -> ModelSpec:
    return replace(
        bundle(),
        inputs=(InputSpec(name="ct", conditions=()), InputSpec(name="pet", conditions=())),
        prepare=(),
        valid=valid,
    )


def moved(source: SourceSeries, by_mm: float) -> SourceSeries:
    affine = source.volume.affine.copy()
    affine[2, 3] += by_mm
    volume = Volume(array=source.volume.array, affine=affine, coordinate_system="PATIENT")
    return replace(source, volume=volume)


CT = series(RescaleSlope=1, RescaleIntercept=0, unit="[hnsf'U]")
PET = series(Modality="PT", unit="g/ml{SUVbw}")


@pytest.mark.parametrize(
    ("by_mm", "severity"), [(0.0, None), (3.0, Severity.WARN), (12.0, Severity.BLOCK), (500.0, Severity.BLOCK)]
)
@pytest.mark.parametrize(
    "stated", [(), (CheckSpec(rule="companion_coverage", limit=0.9, severity=Severity.WARN, input="pet"),)]
)
def test_a_companion_has_to_cover_the_first_series(
    bundle: Make, by_mm: float, severity: Severity | None, stated: tuple[CheckSpec, ...]
) -> None:
    checks = gate.check([CT, moved(PET, by_mm)], petct(bundle, *stated))
    assert [(check.rule, check.severity) for check in checks if not check.passed] == (
        [("pet: companion_coverage", severity)] if severity else []
    )
    assert sum("companion_coverage" in check.rule for check in checks) == 1


def test_a_bundle_may_block_a_companion_that_covers_too_little(bundle: Make) -> None:
    spec = petct(bundle, CheckSpec(rule="companion_coverage", limit=0.8, input="pet"))
    with pytest.raises(
        Unsuitable, match="pet: companion coverage: 75 % of the first input covered, needed 80 % or more"
    ):
        gate.require(gate.check([CT, moved(PET, 3.0)], spec), "series")


@pytest.mark.parametrize(
    ("unit", "units", "passed"),
    [
        ("g/ml{SUVbw}", (), True),
        ("Bq/ml", (), False),
        ("{counts}", (), False),
        ("Bq/ml", ("Bq/ml",), True),
        ("{counts}", ("Bq/ml",), False),
    ],
)
def test_a_pet_is_in_suv_unless_the_bundle_asks_for_another_unit(
    bundle: Make, unit: str, units: tuple[str, ...], passed: bool
) -> None:
    valid = (CheckSpec(rule="units", limit=units, input="pet"),) if units else ()
    checks = gate.check([CT, replace(PET, unit=unit)], petct(bundle, *valid))
    (check,) = (one for one in checks if one.rule == "pet: units")
    assert (check.passed, check.severity) == (passed, Severity.BLOCK)


def real(folder: Path, modality: str) -> SourceSeries:
    """The series of one modality in a folder that holds other objects too."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and is_dicom(path)]
    return read_series(
        [path for path in paths if dcmread(path, specific_tags=["Modality"]).get("Modality") == modality]
    )


def test_a_real_chest_ct_is_what_the_lung_model_was_made_for(real_data: Path) -> None:
    source = real(real_data / "lung1" / "LUNG1-002_20180526_CT", "CT")
    spec = load_bundle(MODELS / "lung-ct")
    checks = gate.check([source], spec)
    assert gate.require(checks, "series") == ()
    assert {check.rule: check.found for check in checks if check.rule.endswith("_mm")} == {
        "slice_spacing_mm": "3 mm",
        "pixel_spacing_mm": "0.977 × 0.977 mm",
    }


# Real headers break the standard here and there, and pydicom warns of it.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("folder", "modality", "found"),
    [
        (
            "ct_headphantom_philips/S21610/S2010",
            "CT",
            {
                "tilt_degrees": "18.5 degrees",
                "convolution_kernels": "UB",
                "body_parts": "BRAIN",
                "rows": "512 rows",
                "contrast": "not stated",
            },
        ),
        (
            "ct_liver_crlm1004",
            "CT",
            {"slice_thickness_mm": "5 mm", "convolution_kernels": "STANDARD", "contrast": "contrast agent present"},
        ),
        ("ibsi_suv_dro/DRO/DRO_0_0/PT", "PT", {"units": "intensities in g/ml{SUVbw}", "slice_gap_mm": "0 mm"}),
        (
            "mr_enh_dcm_qa_enh/Philips",
            "MR",
            {
                "slice_thickness_mm": "4 mm",
                "magnetic_field_strength_tesla": "3 T",
                "body_parts": "BRAIN and T-A0100 and Brain",
            },
        ),
    ],
)
def test_rules_find_what_real_headers_say(real_data: Path, folder: str, modality: str, found: dict[str, str]) -> None:
    limits: dict[str, Any] = {
        "tilt_degrees": 5,
        "convolution_kernels": ("STANDARD",),
        "body_parts": ("BRAIN",),
        "rows": (512, 512),
        "contrast": "present",
        "slice_thickness_mm": (1, 3),
        "slice_gap_mm": (0, 0.5),
        "units": ("g/ml{SUVbw}",),
        "magnetic_field_strength_tesla": (2.5, 3.5),
    }
    source = real(real_data / folder, modality)
    assert {rule: gate.RULES[rule](source, limits[rule]).found for rule in found} == found
