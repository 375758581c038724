"""Signatures: the score of every kind of network, what is missing, calibration, and what each feature adds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dicomnode.domain.errors import ModelError, Unsuitable
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.signature import Scored, scored
from tests.unit.infer import vectors
from tests.unit.infer.vectors import PLATT, Score, bundle

NETWORKS: dict[str, tuple[Callable[[], tuple[bytes, Score]], str]] = {
    "cox": (vectors.cox, ""),
    "logistic": (vectors.logistic, "channel = 1"),
    "forest": (vectors.random_forest, ""),
    "boosting": (vectors.boosting, ""),
}

#: Standardised by the means and deviations of the bundle: 1.2 and 0.75, then 0.4 and -0.5.
PATIENTS = [(52.0, 66.0), (44.0, 56.0), (30.0, 72.0), (45.0, 60.0)]


def score(spec: ModelSpec, *values: float | str) -> Scored:
    assert spec.signature is not None
    return scored(dict(zip(spec.signature.features, values, strict=True)), spec, Sessions(threads=1))


def numbers(found: Scored) -> dict[str, float]:
    return {row.name.meaning: row.value for row in found.measurements}


def standardised(values: tuple[float, float]) -> tuple[float, float]:
    return ((values[0] - 40.0) / 10.0, (values[1] - 60.0) / 8.0)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("values", PATIENTS)
def test_the_score_is_that_of_the_same_computation_in_numpy(
    tmp_path: Path, kind: str, values: tuple[float, float]
) -> None:
    make, options = NETWORKS[kind]
    content, expected = make()
    found = score(bundle(tmp_path, content, signature=options), *values)
    assert numbers(found)["Score of progression"] == pytest.approx(expected(standardised(values)), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_contribution_is_the_change_of_the_score_against_the_reference(tmp_path: Path, kind: str) -> None:
    make, options = NETWORKS[kind]
    content, expected = make()
    x, y = standardised(PATIENTS[0])
    one, two = score(bundle(tmp_path, content, signature=options), *PATIENTS[0]).contributions
    whole = expected((x, y))
    assert one.amount == pytest.approx(whole - expected((0.0, y)), abs=1e-6)
    assert two.amount == pytest.approx(whole - expected((x, 0.0)), abs=1e-6)
    assert (one.feature, two.feature, one.exact) == ("original_firstorder_Mean of lesion", "PatientAge", False)


def test_contributions_of_a_linear_model_are_exact(tmp_path: Path) -> None:
    content, expected = vectors.cox()
    spec = bundle(tmp_path, content, first="coefficient = 0.7", second="coefficient = -1.2")
    found = score(spec, *PATIENTS[0])
    assert [one.amount for one in found.contributions] == pytest.approx([0.7 * 1.2, -1.2 * 0.75])
    assert sum(one.amount for one in found.contributions) == pytest.approx(expected((1.2, 0.75)))
    assert all(one.exact for one in found.contributions)


def test_a_logistic_regression_states_its_contributions_in_the_linear_predictor(tmp_path: Path) -> None:
    content, _ = vectors.logistic()
    coefficients = {"first": "coefficient = 0.7", "second": "coefficient = -1.2"}
    found = score(bundle(tmp_path, content, signature="channel = 1", **coefficients), *PATIENTS[0])
    assert [one.amount for one in found.contributions] == pytest.approx([0.84, -0.9])


def test_coefficients_of_another_network_are_a_fault(tmp_path: Path) -> None:
    content, _ = vectors.cox()
    spec = bundle(tmp_path, content, first="coefficient = -0.7", second="coefficient = -1.2")
    with pytest.raises(ModelError, match=r"original_firstorder_Mean of lesion changes the score by \+0\.84"):
        score(spec, *PATIENTS[0])


def test_a_missing_feature_refuses_with_its_reason(tmp_path: Path) -> None:
    spec = bundle(tmp_path, vectors.cox()[0])
    with pytest.raises(Unsuitable, match=r"no PatientAge \(the headers do not tell\), needed for its score"):
        score(spec, 40.0, "the headers do not tell")
    with pytest.raises(Unsuitable, match=r"no original_firstorder_Mean of lesion \(found nan\), no PatientAge"):
        score(spec, float("nan"), "not known")


def test_a_missing_feature_is_imputed_as_in_training_and_said(tmp_path: Path) -> None:
    content, expected = vectors.cox()
    found = score(bundle(tmp_path, content, second="missing = 64.0"), 40.0, "the headers do not tell")
    assert numbers(found)["Score of progression"] == pytest.approx(expected((0.0, 0.5)), rel=1e-6)
    assert [one.imputed for one in found.contributions] == [False, True]
    assert "PatientAge is not known (the headers do not tell): imputed as in training." in found.statements


def test_without_calibration_no_risk_is_stated_but_the_place_among_others(tmp_path: Path) -> None:
    content, expected = vectors.cox()
    found = score(bundle(tmp_path, content), *PATIENTS[1])
    place = 50 + 5 * expected(standardised(PATIENTS[1]))
    assert numbers(found) == {
        "Score of progression": pytest.approx(expected(standardised(PATIENTS[1])), rel=1e-6),
        "Percentile Ranking of measurement": pytest.approx(place, rel=1e-6),
    }
    assert "The score is not calibrated, so that no risk is stated." in found.statements
    assert "Endpoint: progression; horizon: 2 years." in found.statements
    assert any(
        f"at percentile {place:.0f} of those of 300 patients (the development" in text for text in found.statements
    )


def test_platt_gives_the_risk(tmp_path: Path) -> None:
    content, expected = vectors.cox()
    found = score(bundle(tmp_path, content, more=PLATT), *PATIENTS[2])
    logit = 1.5 * expected(standardised(PATIENTS[2])) - 0.5
    assert numbers(found)["Risk of progression"] == pytest.approx(100 / (1 + np.exp(-logit)), rel=1e-5)
    assert "Risk calibrated on 211 patients of another hospital." in found.statements


def calibrated(text: str) -> str:
    return PLATT.replace('"platt"\n', text, 1).replace("slope = 1.5\nintercept = -0.5\n", "")


@pytest.mark.parametrize(("value", "risk"), [(40.0, 20.0), (45.0, 35.0), (50.0, 50.0), (90.0, 80.0), (0.0, 20.0)])
def test_a_table_is_interpolated_and_holds_its_ends(tmp_path: Path, value: float, risk: float) -> None:
    table = calibrated('"table"\nscores = [0.0, 1.0, 2.0]\nrisks = [0.2, 0.5, 0.8]\n')
    content, _ = vectors.cox((1.0, 0.0))
    found = score(bundle(tmp_path, content, more=table), value, 60.0)
    assert numbers(found)["Risk of progression"] == pytest.approx(risk, rel=1e-5)
    outside = any("lies outside 0 to 2, for which risks are known" in text for text in found.statements)
    assert outside is (value in (90.0, 0.0))


@pytest.mark.parametrize("value", [0.0, 40.0, 60.0, 1e6])
def test_a_baseline_survival_gives_the_risk_of_proportional_hazards(tmp_path: Path, value: float) -> None:
    survival = calibrated('"baseline_survival"\nsurvival = 0.9\ncentre = 0.5\n')
    content, expected = vectors.cox((1.0, 0.0))
    found = score(bundle(tmp_path, content, more=survival), value, 60.0)
    with np.errstate(over="ignore"):
        risk = 100 * (1 - 0.9 ** np.exp(np.float64(expected(standardised((value, 60.0))) - 0.5)))
    assert numbers(found)["Risk of progression"] == pytest.approx(risk, rel=1e-5)


def test_a_score_beyond_the_distribution_has_no_percentile(tmp_path: Path) -> None:
    found = score(bundle(tmp_path, vectors.cox((1.0, 0.0))[0]), 900.0, 60.0)
    assert [*numbers(found)] == ["Score of progression"]
    assert any("lies above percentile 100 of those of 300" in text for text in found.statements)


@pytest.mark.parametrize(
    ("weights", "options", "said"),
    [
        ((1.0, 2.0, 3.0), "", "has 3 features, needed 2 as model.toml says"),
        ((1.0, 2.0), "channel = 4", "1 numbers for one patient, needed channel 4"),
    ],
)
def test_a_network_that_does_not_fit_is_a_fault(
    tmp_path: Path, weights: tuple[float, ...], options: str, said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        score(bundle(tmp_path, vectors.cox(weights)[0], signature=options), *PATIENTS[0])


def test_a_network_with_other_names_is_told_them(tmp_path: Path) -> None:
    names = '[network]\nfeatures = "X"\noutput = "probabilities"\n' + vectors.SCORE
    with pytest.raises(ModelError, match="has features, needed X alone"):
        score(bundle(tmp_path, vectors.cox()[0], rest=names), *PATIENTS[0])
