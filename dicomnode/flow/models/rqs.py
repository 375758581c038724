"""The sheet of the Radiomics Quality Score, as far as the card of a signature fills it in."""

from __future__ import annotations

import re

#: Radiomics Quality Score (Lambin et al., Nat Rev Clin Oncol 2017;14:749-762, table 1): criterion, least, most points.
RQS = (
    ("image protocol documented, or public", 0, 2),
    ("segmentation by several readers, algorithms or with perturbations", 0, 1),
    ("phantom study of scanners and vendors", 0, 1),
    ("imaging at several points in time", 0, 1),
    ("feature reduction, or adjustment for multiple testing", -3, 3),
    ("multivariable analysis with features that are not radiomics", 0, 1),
    ("biological correlates detected and discussed", 0, 1),
    ("cut-off analyses", 0, 1),
    ("discrimination statistics, with resampling", 0, 2),
    ("calibration statistics, with resampling", 0, 2),
    ("prospective study, registered", 0, 7),
    ("validation without retraining, by number of data sets and institutes", -5, 5),
    ("comparison with the gold standard", 0, 2),
    ("potential clinical utility", 0, 2),
    ("cost-effectiveness analysis", 0, 1),
    ("open science and data", 0, 4),
)

#: How a card tells points: `RQS 5: 3`.
_POINTS = re.compile(r"RQS\s+(\d+)\s*:\s*([+\-−]?\d+)")


def rqs_sheet(text: str) -> tuple[list[tuple[int, str, str, str]], str]:
    """The criteria with what a card says, and the sum in words.

    Returns
    -------
    Number, criterion, range of points and points, "" where the card does not say.
    """
    told = {int(number): int(points.replace("−", "-")) for number, points in _POINTS.findall(text)}
    rows = []
    total = known = 0
    for number, (criterion, least, most) in enumerate(RQS, start=1):
        points = told.get(number)
        if points is not None and least <= points <= most:
            total, known = total + points, known + 1
        said = "" if points is None else str(points) if least <= points <= most else f"{points}, out of range"
        rows.append((number, criterion, f"{least} to {most}" if least else f"0 to {most}", said))
    most = sum(most for _criterion, _least, most in RQS)
    return rows, f"{total} of {most} points; {known} of {len(RQS)} criteria stated in the card"
