"""Units, Hounsfield rescaling, and values that a model would not see."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any, get_args

import numpy as np
import pytest

from dicomnode.domain.finding import Check
from dicomnode.domain.model import CheckSpec, ModelSpec, Severity, Step, unavailable
from dicomnode.infer.bundle.before import AnyPrepare
from dicomnode.infer.quality.intensity import KEEPS_VALUES, RULES, always, seen_range
from tests.headers import SHAPE, item, multiframe, series

RESCALED: dict[str, Any] = {"RescaleSlope": 1, "RescaleIntercept": -1024}


def model(*steps: tuple[str, dict[str, Any]], inputs: tuple[str, ...] = ()) -> ModelSpec:
    spec = unavailable("toy")
    return replace(
        spec,
        prepare=tuple(Step(name=name, options=MappingProxyType(options), inputs=inputs) for name, options in steps),
    )


def judged(source: Any, spec: ModelSpec | None = None) -> dict[str, Check]:
    spec = spec or model()
    return {check.rule: check for check in always(source, spec.input, spec)}


def test_a_constant_image_shows_nothing() -> None:
    check = judged(series(array=np.full(SHAPE, 7), **RESCALED))["constant_image"]
    assert (check.passed, check.severity, check.found) == (False, Severity.BLOCK, "intensities from 7 to 7")
    assert judged(series(**RESCALED))["constant_image"].passed


def test_what_is_no_number_does_not_make_an_image_constant() -> None:
    array = np.arange(192, dtype=np.float32).reshape(SHAPE)
    array[0] = np.nan
    check = judged(series(Modality="PT", array=array))["constant_image"]
    assert (check.passed, check.found) == (True, "intensities from 48 to 191")


def test_a_ct_has_hounsfield_units_only_if_every_image_is_rescaled() -> None:
    assert judged(series(**RESCALED))["rescale"].passed
    none = judged(series())["rescale"]
    assert (none.passed, none.severity) == (False, Severity.BLOCK)
    assert none.text == (
        "rescale: no Rescale Slope and Intercept, needed Rescale Slope and Intercept in all, to have Hounsfield units"
    )
    some = judged(series(RescaleSlope=[1, 1, None, 1], RescaleIntercept=-1024))["rescale"]
    assert (some.passed, some.found) == (False, "in 3 of 4 images")


def test_the_rescaling_of_an_enhanced_ct_stands_in_its_functional_groups() -> None:
    group = {"PixelValueTransformationSequence": item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")}
    checks = judged(multiframe({}, [group, group]))
    assert checks["rescale"].passed and checks["rescale_type"].passed
    assert not judged(multiframe({}, [group, {}]))["rescale"].passed


@pytest.mark.parametrize(
    ("kind", "passed", "severity"),
    [
        ("HU", True, Severity.BLOCK),
        ("HU_MOD", True, Severity.BLOCK),
        (None, True, Severity.BLOCK),
        ("US", False, Severity.BLOCK),
        ("MGML", False, Severity.BLOCK),
        (["HU", "HU", "US", "HU"], False, Severity.BLOCK),
    ],
)
def test_a_ct_in_other_units_than_hounsfield_is_refused(kind: Any, passed: bool, severity: Severity) -> None:
    check = judged(series(**RESCALED, RescaleType=kind))["rescale_type"]
    assert (check.passed, check.severity) == (passed, severity)


def test_a_bundle_may_ask_for_a_ct_in_other_units() -> None:
    electron_density = series(RescaleType="EDW")
    spec = replace(model(), valid=(CheckSpec(rule="units", limit=("1",)),))
    assert set(judged(electron_density, spec)) == {"constant_image"}
    either = replace(model(), valid=(CheckSpec(rule="units", limit=("[hnsf'U]", "1")),))
    assert judged(series(**RESCALED, RescaleType="US"), either)["rescale_type"].passed


@pytest.mark.parametrize(("kind", "passed"), [("HU", True), ("OD", False)])
def test_a_modality_lut_gives_hounsfield_units_where_it_says_so(kind: str, passed: bool) -> None:
    lut = item(LUTDescriptor=[4096, 0, 16], ModalityLUTType=kind)
    checks = judged(series(ModalityLUTSequence=(lut,)))
    assert checks["rescale"].passed and checks["rescale_type"].passed is passed
    some = series(ModalityLUTSequence=[(lut,), (lut,), None, (lut,)])
    assert not judged(some)["rescale"].passed


def test_a_series_that_is_no_ct_needs_no_rescaling() -> None:
    assert set(judged(series(Modality="MR"))) == {"constant_image", "intensity_range"}


@pytest.mark.parametrize(
    ("steps", "seen"),
    [
        ([("clip", {"range": (-1000.0, 400.0)}), ("scale", {"range": (0.0, 1.0)})], (-1000.0, 400.0)),
        ([("resample", {}), ("window", {"centre": -600.0, "width": 1500.0})], (-1350.0, 150.0)),
        ([("scale", {"range": (0.0, 1.0)}), ("clip", {"range": (0.0, 1.0)})], (0.0, 1.0)),
        (
            [("scale", {"range": (-1000.0, 1000.0), "to": (0.0, 1.0)}), ("clip", {"range": (0.25, 1.0)})],
            (-500.0, 1000.0),
        ),
        ([("scale", {"range": (0.0, 10.0), "to": (1.0, 0.0)}), ("clip", {"range": (0.0, 0.5)})], (5.0, 10.0)),
        ([("scale", {"range": (-1000.0, 1000.0)})], None),
        ([("zscore", {}), ("clip", {"range": (-3.0, 3.0)})], None),
        ([], None),
    ],
)
def test_a_model_sees_the_range_of_its_first_step_on_values(
    steps: list[tuple[str, dict[str, Any]]], seen: tuple[float, float] | None
) -> None:
    spec = model(*steps)
    assert seen_range(spec.input, spec) == seen
    other = model(*steps, inputs=("other",))
    assert seen_range(other.input, other) is None


@pytest.mark.parametrize(
    ("seen", "passed"),
    [((0.0, 1.0), True), ((190.5, 300.0), True), ((191.0, 300.0), False), ((-5.0, 0.0), False), ((-5.0, 0.5), True)],
)
def test_intensities_that_the_model_does_not_see_are_refused(seen: tuple[float, float], passed: bool) -> None:
    source = series(array=np.arange(192).reshape(SHAPE), **RESCALED)
    check = judged(source, model(("clip", {"range": seen})))["intensities"]
    assert (check.passed, check.severity, check.found) == (passed, Severity.BLOCK, "intensities from 0 to 191")
    assert check.limit == f"contrast between {seen[0]:g} and {seen[1]:g}"


def test_steps_that_keep_values_are_steps() -> None:
    union, *_ = get_args(AnyPrepare)
    names = {get_args(table.model_fields["step"].annotation)[0] for table in get_args(union)}
    assert names >= KEEPS_VALUES


def test_a_measure_of_pixels_lies_in_its_range_or_tells_nothing() -> None:
    half = np.arange(192).reshape(SHAPE)
    half[:2] = 5
    source = series(array=half)
    outcome = RULES["constant_slices"](source, (0.0, 0.1))
    assert (outcome.passed, outcome.found, outcome.needed) == (False, "0.5", "0 to 0.1")
    assert RULES["constant_slices"](source, (0.0, 0.5)).passed
    unfit = RULES["noise_hu"](series(Modality="MR"), (0.0, 30.0))
    assert (unfit.passed, unfit.found, unfit.needed) == (None, "not measurable", "0 to 30 HU")
