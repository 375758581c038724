"""Computes the score of a signature from its features: what is missing, standardisation, network, contributions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dicomnode.domain.code import Code
from dicomnode.domain.errors import ModelError, Unsuitable
from dicomnode.domain.finding import Measurement
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.signature import Contribution, SignatureFeature, SignatureSpec
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.network.vector import run_vector
from dicomnode.infer.risk import percentile, risk, told

PERCENTILE = Code(value="121415", scheme="DCM", meaning="Percentile Ranking of measurement")
PERCENT = Code(value="%", scheme="UCUM", meaning="percent")

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What a signature says about a patient.

    Attributes
    ----------
    measurements
        The score, its percentile, and the risk where the bundle is calibrated; about the whole series (segment 0).
    statements
        What a reader needs to read them.
    """

    measurements: tuple[Measurement, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    statements: tuple[str, ...] = ()


def scored(values: Mapping[SignatureFeature, float | str], model: ModelSpec, sessions: Sessions) -> Scored:
    """Compute the score of a signature.

    Parameters
    ----------
    values
        What is known of every feature, or why it is not.

    Raises
    ------
    Unsuitable
        If a feature is missing that the bundle does not impute.
    ModelError
        If the network is not the declared one, fails, or contradicts the coefficients that the bundle states.
    """
    spec = model.signature
    if spec is None or not model.weights:
        raise ModelError(f"model {model.name}: no signature, needed [signature] with its network")
    known, imputed = _filled(values, model.name, spec)
    session = sessions.load(model, model.weights[0], on_cpu=True)
    mean = np.array([feature.mean for feature in spec.features])
    std = np.array([feature.std for feature in spec.features])
    score = run_vector(session, model, (known - mean) / std)
    changes = []
    for place, feature in enumerate(spec.features):
        other = known.copy()
        other[place] = feature.reference
        changes.append(score - run_vector(session, model, (other - mean) / std))
    contributions = _contributions(known, np.array(changes), score, imputed, model.name, spec)
    return Scored(
        measurements=_measurements(score, model, spec),
        contributions=contributions,
        statements=(
            f"Endpoint: {spec.endpoint}; horizon: {spec.horizon}.",
            *told(score, spec.calibration, spec.distribution),
            *(
                f"{spec.features[place].text} is not known ({why}): imputed as in training."
                for place, why in imputed.items()
            ),
        ),
    )


def _filled(
    values: Mapping[SignatureFeature, float | str], name: str, spec: SignatureSpec
) -> tuple[Vector, dict[int, str]]:
    """Every value in order, and why some stand in for what is missing, by their place."""
    vector = np.zeros(len(spec.features))
    imputed: dict[int, str] = {}
    refused = []
    for place, feature in enumerate(spec.features):
        value = values.get(feature, "not measured")
        if isinstance(value, float) and not np.isfinite(value):
            value = f"found {value}"
        if isinstance(value, float):
            vector[place] = value
        elif feature.imputed is not None:
            vector[place], imputed[place] = feature.imputed, value
        else:
            refused.append(f"{feature.text} ({value})")
    if refused:
        raise Unsuitable(f"model {name}: no {', no '.join(refused)}, needed for its score")
    return vector, imputed


def _contributions(
    known: Vector, changes: Vector, score: float, imputed: Mapping[int, str], name: str, spec: SignatureSpec
) -> tuple[Contribution, ...]:
    amounts = changes
    if spec.linear:
        terms = [
            (feature.coefficient or 0.0) * (value - feature.reference) / feature.std
            for feature, value in zip(spec.features, known, strict=True)
        ]
        amounts = np.array(terms)
        # A sum of n terms in float32 is known no better than n roundings of what is summed.
        rounding = len(terms) * float(np.finfo(np.float32).eps) * (abs(score) + float(np.abs(amounts).sum()))
        for feature, amount, change in zip(spec.features, amounts, changes, strict=True):
            if amount * change < 0 and abs(change) > rounding and abs(amount) > rounding:
                raise ModelError(
                    f"model {name}: {feature.text} changes the score by {change:+.4g}, but its coefficient says "
                    f"{amount:+.4g}, needed coefficients of this network"
                )
    return tuple(
        Contribution(
            feature=feature.text,
            value=float(value),
            amount=float(amount),
            exact=spec.linear,
            imputed=place in imputed,
        )
        for place, (feature, value, amount) in enumerate(zip(spec.features, known, amounts, strict=True))
    )


def _measurements(score: float, model: ModelSpec, spec: SignatureSpec) -> tuple[Measurement, ...]:
    (named,) = model.scores
    found = [Measurement(segment_number=0, name=named.name, value=score, unit=named.unit)]
    place = percentile(score, spec.distribution) if spec.distribution else None
    if place is not None:
        found.append(Measurement(segment_number=0, name=PERCENTILE, value=place, unit=PERCENT))
    if spec.calibration is not None:
        percent = 100 * risk(score, spec.calibration)
        found.append(Measurement(segment_number=0, name=spec.calibration.name, value=percent, unit=PERCENT))
    return tuple(found)
