"""What somebody wants to have evaluated: which regions of a reference stand for what of the model, and how."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dicomnode import __version__
from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.domain.model import ModelSpec

#: Of the surface Dice in the study on NSCLC (Primakov et al., Nat Commun 2022;13:3423).
TOLERANCE_MM = 1.18

#: By these a row of a table of strata names its case.
KEYS = ("StudyInstanceUID", "PatientID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How to evaluate.

    Attributes
    ----------
    rois
        Name of a segment, its number, or `lesions` → patterns of names of regions in the reference.
    exclude
        Patterns of regions whose voxels count for nobody.
    lungs
        Patterns of regions that are lungs: units of the ROC curve, and places of lesions.
    negatives
        Whether a case without a region that stands for a lesion holds none.
    strata
        Columns that somebody adds: value of a key → name of the column → value.
    """

    rois: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    lungs: tuple[str, ...] = ()
    negatives: bool = False
    tolerance_mm: float = TOLERANCE_MM
    seed: int = 1
    strata: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that somebody adds."""
        return tuple(dict.fromkeys(name for row in self.strata.values() for name in row))

    def digest(self, spec: ModelSpec) -> str:
        """Of all that decides what the rows of a case say; summaries are made anew each time."""
        told = {**asdict(self), "seed": 0, "recipe": spec.recipe, "version": __version__}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def pairs(words: Sequence[str]) -> dict[str, list[str]]:
    """What `name=ROI` says, several times for one name where several regions are one thing.

    Raises
    ------
    ConfigError
        If one of them is no such pair.
    """
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, roi = word.partition("=")
        if not (name.strip() and equals and roi.strip()):
            remedy = 'needed NAME=ROI, such as lung_left="Lung L": a segment of the model and a region of the reference'
            raise ConfigError([Fault(key="--roi", value=word, remedy=remedy)])
        found.setdefault(name.strip(), []).append(roi.strip())
    return found


def read_strata(path: Path | None) -> dict[str, dict[str, str]]:
    """The table of strata, by Study Instance UID or Patient ID.

    Raises
    ------
    ConfigError
        If it cannot be read, or has no column of keys.
    """
    if path is None:
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError([Fault(key="--strata", value=path.name, remedy=f"cannot be read as CSV: {error}")]) from error
    key = next((name for name in KEYS if rows and name in rows[0]), "")
    if not key:
        remedy = f"needed a column {' or '.join(KEYS)}, and one for each stratum, such as location"
        raise ConfigError([Fault(key="--strata", value=path.name, remedy=remedy)])
    return {
        row[key].strip(): {name: (value or "").strip() for name, value in row.items() if name and name not in KEYS}
        for row in rows
        if row.get(key)
    }
