"""From a score to a risk by the bundle's calibration, and to its place among those on whom it was developed."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from dicomnode.domain.signature import Calibration, CalibrationMethod, ScoreDistribution


def risk(score: float, calibration: Calibration) -> float:
    """The risk, 0 to 1.

    Between the scores of a table it is interpolated linearly; beyond its ends the last value holds, since nobody with
    such a score was seen.
    """
    match calibration.method:
        case CalibrationMethod.TABLE:
            return float(np.interp(score, calibration.scores, calibration.risks))
        case CalibrationMethod.PLATT:
            return float(expit(calibration.slope * score + calibration.intercept))
        case CalibrationMethod.BASELINE_SURVIVAL:
            # Proportional hazards: S(t | x) = S0(t) ** exp(score - centre), by way of logarithms that cannot overflow.
            hazard = np.exp(min(score - calibration.centre, np.log(np.finfo(np.float64).max)))
            return float(-np.expm1(hazard * np.log(calibration.survival)))


def percentile(score: float, distribution: ScoreDistribution) -> float | None:
    """The percentile of a score, interpolated linearly; None beyond the lowest and highest that is told."""
    if not distribution.scores[0] <= score <= distribution.scores[-1]:
        return None
    return float(np.interp(score, distribution.scores, distribution.percentiles))


def told(score: float, calibration: Calibration | None, distribution: ScoreDistribution | None) -> tuple[str, ...]:
    """What a reader has to know of both, in words."""
    texts = []
    if calibration is None:
        texts.append("The score is not calibrated, so that no risk is stated.")
    else:
        texts.append(f"Risk calibrated on {calibration.source}.")
        ends = calibration.scores
        if ends and not ends[0] <= score <= ends[-1]:
            texts.append(
                f"The score {score:.4g} lies outside {ends[0]:.4g} to {ends[-1]:.4g}, for which risks are known."
            )
    if distribution is not None:
        among = f"those of {distribution.patients} patients ({distribution.source})"
        place = percentile(score, distribution)
        if place is None:
            low = score < distribution.scores[0]
            beyond = f"below percentile {distribution.percentiles[0]:g}" if low else ""
            beyond = beyond or f"above percentile {distribution.percentiles[-1]:g}"
            texts.append(f"The score lies {beyond} of {among}.")
        else:
            texts.append(f"The score lies at percentile {place:.0f} of {among}.")
    return tuple(texts)
