"""What model.toml says of signatures, and what of it cannot hold at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.domain.errors import ConfigError
from dicomnode.domain.signature import CalibrationMethod, Summary
from tests.unit.infer.vectors import CASCADE, COARSE, DISTRIBUTION, FEATURES, PLATT, SCORE, bundle

PART = """[[measure.part]]
name = "solid"
label = "Solid part"
type = { value = "4147007", scheme = "SCT", meaning = "Mass" }
range = [-300.0, 300.0]
"""

DRAWN = '[input.contours]\nModality = "SEG"\n[contours]\ninput = "contours"\n'


def test_a_signature_is_read_as_it_is_written(tmp_path: Path) -> None:
    ring = FEATURES.replace('"lesion"', '"ring"\nsummary = "max"')
    spec = bundle(
        tmp_path, b"0", signature='ring_mm = 5\nsummary = "volume_weighted"\nminimum_volume_ml = 0.1', features=ring,
        second='missing = 61.5\nreference = 50.0', more=PLATT,
    )  # fmt: skip
    signature = spec.signature
    assert signature is not None
    first, second = signature.features
    assert (first.text, first.summary, first.imputed, first.reference) == (
        "original_firstorder_Mean of ring", Summary.MAXIMUM, None, 40.0,
    )  # fmt: skip
    assert (second.text, second.imputed, second.reference, second.mask) == ("PatientAge", 61.5, 50.0, "")
    assert (signature.ring_mm, signature.minimum_volume_ml, signature.clinical) == (5.0, 0.1, ("PatientAge",))
    assert signature.calibration is not None
    assert (signature.calibration.method, signature.calibration.slope) == (CalibrationMethod.PLATT, 1.5)
    assert (signature.endpoint, signature.horizon, signature.linear) == ("progression", "2 years", False)
    assert spec.cascade is not None and spec.cascade.model.name == "coarse"
    assert spec.activation == "none"


def test_a_signature_of_drawn_lesions_has_no_coarse_model(tmp_path: Path) -> None:
    spec = bundle(tmp_path, b"0", regions=DRAWN)
    assert (spec.contours, spec.cascade) == ("contours", None)


def test_the_regions_have_to_be_as_plausible_as_their_model_asks(tmp_path: Path) -> None:
    coarse = COARSE.replace(
        "[[segment]]", "[plausible]\nvolume_ml = [{ segment = 1, range = [0.0, 9.0] }]\n[[segment]]"
    )
    assert [check.rule for check in bundle(tmp_path, b"0", coarse=coarse).plausible] == ["volume_ml"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"features": FEATURES.replace('"lesion"', '"rim"')}, r"signature\.feature\[0\]\.mask"),
        ({"features": FEATURES.replace('"lesion"', '"ring"')}, "ring_mm and features of mask ring go together"),
        ({"signature": "ring_mm = 3.0"}, "ring_mm and features of mask ring go together"),
        ({"features": FEATURES.replace('"lesion"', '"part:solid"')}, "measured in part solid, needed one of .*: none"),
        ({"features": FEATURES.replace("firstorder_Mean", "firstorder_Men")}, "did you mean original_firstorder_Me"),
        ({"features": FEATURES.replace("original_", "square_")}, "without the image type Square"),
        ({"features": FEATURES.replace("PatientAge", "PatientAgee")}, "did you mean PatientAge"),
        ({"features": FEATURES.replace('"PatientAge"', '"original_firstorder_Mean"\nmask = "lesion"')}, "stands twice"),
        ({"features": FEATURES.replace("mean = 60.0", "")}, "neither mean nor reference"),
        ({"features": FEATURES.replace("std = 10.0", "std = 0.0")}, "greater than 0"),
        ({"first": "coefficient = 1.0"}, "some features have a coefficient, needed all"),
        ({"second": 'summary = "max"'}, "summary without mask"),
        ({"second": 'missing = "impute"'}, r"signature\.feature\[1\]\.missing"),
        ({"more": ""}, "neither calibration nor distribution"),
        ({"more": DISTRIBUTION.replace("0.0, 10.0]", "0.0, -11.0]")}, "scores do not rise"),
        ({"more": DISTRIBUTION.replace("0.0, 10.0]", "0.0]")}, "3 percentiles and 2 scores, needed pairs"),
        ({"more": PLATT.replace("slope = 1.5", "")}, r"signature\.calibration.*slope.*missing"),
        ({"more": PLATT.replace('"platt"', '"isotonic"')}, "calibration"),
        ({"regions": ""}, r"needs its regions from one of both"),
        ({"regions": CASCADE + DRAWN}, r"needs its regions from one of both"),
        ({"regions": CASCADE + "margin_mm = 2.0\n"}, r"with cascade\.margin_mm, needed none"),
        ({"regions": CASCADE + "[tile]\nshape = [1, 1, 1]\noverlap = 0.0\nbatch = 1\n"}, "with tile, needed none"),
        ({"rest": ""}, r"task score without \[\[score\]\]"),
        ({"rest": SCORE + SCORE.replace("= 0", "= 1").replace("SCORE", "S2").replace("Score", "Other")}, "with 2 "),
        ({"rest": SCORE.replace("Score of", "Risk of")}, "promises no risk"),
        ({"signature": 'summary = "median"'}, "'largest'"),
    ],
)  # fmt: skip
def test_a_contradiction_is_a_fault_that_says_what_is_needed(
    tmp_path: Path, options: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        bundle(tmp_path, b"0", **options)


def test_parts_of_lesions_are_those_that_are_measured(tmp_path: Path) -> None:
    spec = bundle(tmp_path, b"0", features=FEATURES.replace('"lesion"', '"part:solid"'), regions=PART + CASCADE)
    assert spec.signature is not None
    assert spec.signature.features[0].text == "original_firstorder_Mean of part solid"


def test_segments_of_the_coarse_model_have_to_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"measure\.lungs.*needed some of segments \[1\]"):
        bundle(tmp_path, b"0", regions="[measure]\nlungs = [2]\n" + CASCADE)
