"""Area under the ROC curve, and intervals of confidence by drawing cases again and again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

#: Draws of a bootstrap: the ends of a 95 % interval rest on 50 of them (Efron and Tibshirani 1993, section 13.3, ask
#: for 1 000 or more).
DRAWS = 2000

#: Ends of a 95 % interval by the percentile method.
_ENDS = (2.5, 97.5)


def auc(scores: Sequence[float], truths: Sequence[bool]) -> float | None:
    """Area under the ROC curve as the part of pairs in right order (Mann and Whitney); equal scores count half.

    None where there are not both kinds.
    """
    positive = np.asarray(truths, dtype=bool)
    count, others = int(positive.sum()), int((~positive).sum())
    if not count or not others:
        return None
    ranks = rankdata(np.asarray(scores, dtype=float))
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))


def interval(
    patients: Sequence[Hashable],
    statistic: Callable[[NDArray[np.intp]], float | None],
    *,
    seed: int,
    draws: int = DRAWS,
) -> tuple[float, float] | None:
    """95 % interval of a statistic, drawing patients with replacement; the same for the same seed.

    Parameters
    ----------
    patients
        Whose each row is: rows of one patient are drawn together, since they are not independent.
    statistic
        Of the rows with these numbers; None where they do not tell.

    Returns
    -------
    Its ends; None with fewer than two patients, or where no more than half of the draws tell anything.
    """
    rows: dict[Hashable, list[int]] = {}
    for number, patient in enumerate(patients):
        rows.setdefault(patient, []).append(number)
    groups = [np.array(of, dtype=np.intp) for of in rows.values()]
    if len(groups) < 2:
        return None
    random = np.random.default_rng(seed)
    # Most cohorts have as many rows of each patient, which are drawn much faster as one table.
    table = np.stack(groups) if len({len(of) for of in groups}) == 1 else None
    found = []
    for _ in range(draws):
        drawn = random.integers(0, len(groups), len(groups))
        rows_drawn = np.concatenate([groups[number] for number in drawn]) if table is None else table[drawn].ravel()
        value = statistic(rows_drawn)
        if value is not None:
            found.append(value)
    if 2 * len(found) <= draws:
        return None
    low, high = np.percentile(found, _ENDS)
    return float(low), float(high)
