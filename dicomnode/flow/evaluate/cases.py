"""The cases of an evaluation: studies with what a person has drawn on them, and the files that the model gets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dicomnode.domain.model import ModelSpec
from dicomnode.domain.study import Series, Study
from dicomnode.flow.cohort.cases import Case, Naming
from dicomnode.flow.evaluate.wish import Wish
from dicomnode.flow.stacks import in_stacks
from dicomnode.route.contours import OURS, holds_contours, is_untouched, series_named
from dicomnode.route.match import evaluate


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One study that the model is tried on.

    Attributes
    ----------
    case
        How the journal knows it.
    images
        Files that the model may choose from.
    references
        Objects with contours that a person or another device made, those drawn on the model's first input in front.
    strata
        What the table of strata says of it.
    """

    case: Case
    images: tuple[Path, ...] = field(repr=False)
    references: tuple[Path, ...] = field(repr=False)
    strata: dict[str, str] = field(default_factory=dict)


def trials(studies: Iterable[Study], spec: ModelSpec, naming: Naming, wish: Wish) -> Iterator[Trial]:
    """Every study that has images, as a trial. What this software made is nobody's reference."""
    for study in studies:
        split = in_stacks(study)
        drawn = [one for one in split.series if holds_contours(one) and not is_untouched(one, OURS)]
        images = [one for one in split.series if not holds_contours(one)]
        if not images:
            continue
        named = {uid for one in drawn for uid in series_named(one.instances[0].header)}
        fitting, others = _narrowed(images, spec, named)
        references = sorted(drawn, key=lambda one: not _names(one, fitting))
        header = (fitting or others)[0].header
        files = tuple(instance.path for one in (*fitting, *others) for instance in one.instances)
        drawings = tuple(one.instances[0].path for one in references)
        case = Case(
            patient=naming.patient(header, study.study_instance_uid),
            study_instance_uid=study.study_instance_uid,
            series_instance_uid="",
            contours_sop_instance_uid=" ".join(one.instances[0].sop_instance_uid for one in references),
            contours=Path(),
            images=(),
            digest=_digest((*drawings, *files)),
        )
        keys = (header.text("PatientID").strip(), study.study_instance_uid)
        told = {name: value for key in keys for name, value in wish.strata.get(key, {}).items()}
        yield Trial(
            case=case,
            images=files,
            references=drawings,
            strata=told,
        )


def _digest(files: Sequence[Path]) -> str:
    """SHA-256 over the files in whatever order; one that cannot be read fails when the case is tried."""
    digests = []
    for path in files:
        try:
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as error:
            digests.append(f"cannot be read: {error.strerror}")
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def _narrowed(images: Sequence[Series], spec: ModelSpec, named: set[str]) -> tuple[list[Series], list[Series]]:
    """What may feed the first input, and the rest: of several such series only those on which somebody has drawn.

    Else the model might look at the other of two reconstructions, and be held against contours on the first.
    """
    kin = [one for one in images if _fits(one, spec)]
    drawn = [one for one in kin if one.series_instance_uid in named]
    return drawn or kin, [one for one in images if not any(one is other for other in kin)]


def _fits(series: Series, spec: ModelSpec) -> bool:
    headers = [instance.header for instance in series.instances]
    return all(evaluate(condition, headers).met for condition in spec.input.conditions)


def _names(contours: Series, images: Sequence[Series]) -> bool:
    named = set(series_named(contours.instances[0].header))
    return any(one.series_instance_uid in named for one in images)
