"""Limits in model.toml: bare or with what a failure does, for the first input or for one that is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from dicomnode.domain.model import CheckSpec, Severity
from dicomnode.infer.bundle.limits import PIXEL_MEASURES, InputLimits, PlausibleTable, ValidTable, strangers
from dicomnode.infer.quality import gate, plausible
from dicomnode.infer.quality.companion import PAIRED
from dicomnode.infer.quality.pixels import MEASURES


def valid(**table: Any) -> list[CheckSpec]:
    return list(ValidTable.model_validate_json(json.dumps(table)).checks())


def believed(**table: Any) -> list[CheckSpec]:
    return list(PlausibleTable.model_validate_json(json.dumps(table)).checks())


def test_every_rule_of_the_schema_has_a_function_and_every_function_a_rule() -> None:
    assert set(InputLimits.model_fields) == set(ValidTable.model_fields) == {*gate.RULES, *PAIRED}
    assert set(PlausibleTable.model_fields) == set(plausible.RULES)


def test_rules_that_warn_or_are_lenient_are_rules() -> None:
    assert set(gate.RULES) >= ValidTable.lenient
    assert {*gate.RULES, *PAIRED} >= ValidTable.warns
    assert set(MEASURES) == PIXEL_MEASURES
    assert set(plausible.RULES) >= PlausibleTable.warns


def test_a_bare_limit_blocks_and_what_is_unknown_warns() -> None:
    (check,) = valid(kvp=[80, 140])
    assert check == CheckSpec(rule="kvp", limit=(80.0, 140.0), severity=Severity.BLOCK, unknown=Severity.WARN)


def test_a_limit_may_say_what_its_failure_and_its_absence_do() -> None:
    (check,) = valid(orientations={"limit": ["axial"], "otherwise": "warn", "unknown": "block"})
    assert check == CheckSpec(rule="orientations", limit=("axial",), severity=Severity.WARN, unknown=Severity.BLOCK)
    assert valid(kvp={"limit": [80, 140], "unknown": "pass"})[0].unknown is None


def test_an_unstated_body_part_passes() -> None:
    assert valid(body_parts=["CHEST"])[0].unknown is None


def test_a_wrong_side_blocks_and_an_unusual_volume_warns_unless_the_bundle_says_otherwise() -> None:
    volume = [{"segment": 1, "range": [1, 2]}]
    right, size = believed(right_of=[[1, 2]], volume_ml=volume)
    assert (right.severity, size.severity) == (Severity.BLOCK, Severity.WARN)
    right, size = believed(
        right_of={"limit": [[1, 2]], "otherwise": "warn"}, volume_ml={"limit": volume, "otherwise": "block"}
    )
    assert (right.severity, size.severity) == (Severity.WARN, Severity.BLOCK)
    assert [(one.segment, one.range) for one in size.limit] == [(1, (1.0, 2.0))]


def test_a_subtable_holds_the_limits_of_the_input_that_it_is_named_for() -> None:
    pet = {"units": ["g/ml{SUVbw}"], "minimum_slices": {"limit": 9, "otherwise": "warn"}}
    checks = valid(minimum_slices=20, pet=pet)
    assert [(check.input, check.rule, check.limit, check.severity) for check in checks] == [
        ("", "minimum_slices", 20, Severity.BLOCK),
        ("pet", "minimum_slices", 9, Severity.WARN),
        ("pet", "units", ("g/ml{SUVbw}",), Severity.BLOCK),
    ]


@pytest.mark.parametrize(
    ("table", "place", "said"),
    [
        ({"orientations": ["axal"]}, ("orientations", 0), "'axial'"),
        ({"orientations": {"limit": ["axal"], "otherwise": "warn"}}, ("orientations", 0), "'axial'"),
        ({"orientations": {"limit": ["axial"], "otherwise": "wran"}}, ("orientations",), "one of block, warn"),
        ({"orientations": {"limits": ["axial"]}}, ("orientations",), "write { limit = … }"),
        ({"orientations": {"otherwise": "warn"}}, ("orientations",), "no limit"),
        ({"pet": {"minimum_slices": 0}}, ("pet", "minimum_slices"), "greater than or equal to 1"),
        ({"pet": {"minimum_slice": 3}}, ("pet", "minimum_slice"), "not permitted"),
        ({"minimum_slice": 3}, ("minimum_slice",), "not permitted"),
        ({"minimum_slices": 3.0}, ("minimum_slices",), "valid integer"),
        ({"kvp": ["80", 140]}, ("kvp", 0), "valid number"),
        ({"kvp": [140, 80]}, ("kvp",), "smaller number first"),
        ({"rows": [512, 256]}, ("rows",), "smaller number first"),
        ({"contrast": "some"}, ("contrast",), "'present' or 'absent'"),
        ({"lossy_compression_ratio": 0.5}, ("lossy_compression_ratio",), "greater than or equal to 1"),
    ],
)
def test_a_fault_stands_at_the_key_of_its_rule(table: dict[str, Any], place: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        valid(**table)
    (detail,) = error.value.errors()
    assert detail["loc"] == place
    assert said in detail["msg"]


def test_a_count_may_be_one_alone() -> None:
    assert valid(rows=[512, 512])[0].limit == (512, 512)
    assert believed(detections=[0, 0])[0].limit == (0, 0)


def test_a_companion_that_covers_too_little_warns_unless_the_bundle_says_otherwise() -> None:
    (usual,) = valid(pet={"companion_coverage": 0.9})
    (strict,) = valid(pet={"companion_coverage": {"limit": 0.9, "otherwise": "block"}})
    assert (usual.limit, usual.input, usual.severity) == (0.9, "pet", Severity.WARN)
    assert strict.severity is Severity.BLOCK


def test_only_an_input_after_the_first_covers_the_first() -> None:
    for table in ({"companion_coverage": 0.9}, {"ct": {"companion_coverage": 0.9}}):
        parsed = ValidTable.model_validate_json(json.dumps(table))
        (fault,) = strangers(parsed, PlausibleTable(), ["ct", "pet"], 1)
        assert fault.startswith("companion_coverage is stated for the first input")
    other = ValidTable.model_validate_json(json.dumps({"pet": {"companion_coverage": 0.9}}))
    assert list(strangers(other, PlausibleTable(), ["ct", "pet"], 1)) == []


def test_units_are_known_and_kept_in_one_spelling() -> None:
    assert valid(units=["{SUVbw}g/ml", "Bq/mL"])[0].limit == ("g/ml{SUVbw}", "Bq/ml")
    with pytest.raises(ValidationError, match="no series is read in SUV"):
        valid(units=["SUV"])
