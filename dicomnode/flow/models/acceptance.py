"""Accepts a model for use on patients at this site, and disables and enables models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dicomnode import __version__
from dicomnode.domain.clock import from_text
from dicomnode.domain.errors import ConfigError, DicomNodeError, Fault
from dicomnode.domain.model import ModelSpec, ModelStatus
from dicomnode.flow.evaluate.run import Evaluation
from dicomnode.flow.evaluate.summary import Summary
from dicomnode.flow.evaluate.targets import measurable
from dicomnode.infer.bundle.load import verify
from dicomnode.store.database import Database
from dicomnode.store.models import Accepted, Models


def acceptable(spec: ModelSpec, by: str) -> None:
    """Refuse what cannot be accepted before hours are spent on cases.

    Raises
    ------
    ConfigError
        If the model is a demonstration, or nobody is named.
    ModelError
        If its files are not the declared ones.
    """
    if spec.status is ModelStatus.DEMO:
        remedy = "its bundle calls it a demo, which is not for use on patients"
        raise ConfigError([Fault(key="NAME", value=spec.name, remedy=remedy)])
    if not by.strip():
        raise ConfigError([Fault(key="--by", value=by, remedy="needed the name of the person who answers for it")])
    verify(spec)


def grounds(spec: ModelSpec, cases: Path | None) -> None:
    """Refuse an acceptance without cases where figures can be had, and one with cases where none can.

    Raises
    ------
    ConfigError
        If cases are missing, or none could give a figure.
    """
    if measurable(spec) and cases is None:
        raise ConfigError([Fault(key="--cases", value="", remedy="needed a folder of local cases with a reference")])
    if not measurable(spec) and cases is not None:
        remedy = f"leave it out: models of task {spec.task} are not evaluated, but accepted on a person's word"
        raise ConfigError([Fault(key="--cases", value=str(cases), remedy=remedy)])


def accept_unmeasured(db: Database, spec: ModelSpec, by: str) -> str:
    """Write down that a model without figures was accepted on a person's word; in words what was done."""
    _write(db, spec, by, cases=0, figures=[])
    return f"model {spec.name} {spec.version} is accepted by {by.strip()} without figures, on that person's word"


def accept(db: Database, spec: ModelSpec, done: Evaluation, by: str) -> str:
    """Write down that a model was accepted on the figures of an evaluation; in words what was done.

    Raises
    ------
    DicomNodeError
        If the evaluation is not complete or has no figures, or the bundle was changed meanwhile.
    """
    if done.interrupted:
        raise DicomNodeError(f"model {spec.name}: not accepted, since cases are left; the same command goes on")
    told = [_kept(one) for one in done.figures if one["cases"]]
    if not told:
        raise DicomNodeError(f"model {spec.name}: not accepted, since not one case could be evaluated")
    _write(db, spec, by, cases=done.evaluated, figures=told)
    failed = f", {done.failed} of which were not evaluated or not wholly" if done.failed else ""
    of = f"{done.evaluated} of {done.cases}" if failed else f"{done.cases}"
    return f"model {spec.name} {spec.version} is accepted by {by.strip()} on {of} cases{failed}"


def _write(db: Database, spec: ModelSpec, by: str, *, cases: int, figures: Sequence[Summary]) -> None:
    # What was evaluated is what is accepted.
    verify(spec)
    made = Accepted(
        model=spec.name, version=spec.version, recipe=spec.recipe, accepted_by=by.strip(),
        accepted_at=from_text(db.now()), cases=cases, figures=list(figures), node=__version__,
    )  # fmt: skip
    with db.transaction():
        Models(db).accept(made)


def _kept(one: Summary) -> Summary:
    """What of a summary is kept with the acceptance: no class of cases, and no value of a single one."""
    return {name: value for name, value in one.items() if name != "strata"}
