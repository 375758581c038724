"""Accepts a model for use on patients at this site, and disables and enables models."""

from __future__ import annotations

from dicomnode.config import Settings
from dicomnode.domain.errors import ConfigError, DicomNodeError, Fault
from dicomnode.domain.model import ModelSpec, ModelStatus
from dicomnode.flow.evaluate.run import Evaluation
from dicomnode.flow.evaluate.summary import Summary
from dicomnode.infer.bundle.load import verify
from dicomnode.store.database import Database
from dicomnode.store.models import Models


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
    # What was evaluated is what is accepted.
    verify(spec)
    with db.transaction():
        Models(db).accept(spec.name, spec.version, spec.recipe, by.strip(), done.cases, told)
    failed = f", {done.failed} rows without figures" if done.failed else ""
    return f"model {spec.name} {spec.version} is accepted by {by.strip()} on {done.cases} cases{failed}"


def disable(db: Database, settings: Settings, model: str, reason: str) -> str:
    """Hold the jobs of a model; in words what was done.

    Raises
    ------
    ConfigError
        If no rule names it and no bundle bears its name, so that it is a slip of the pen.
    """
    known = {rule.model for rule in settings.rules} | _folders(settings)
    if model not in known:
        remedy = f"no such model; known: {', '.join(sorted(known)) or 'none'}"
        raise ConfigError([Fault(key="NAME", value=model, remedy=remedy)])
    with db.transaction():
        waiting, running = Models(db).disable(model, reason.strip() or "no reason given")
    ran = f", {running} of which were taken from their workers and leave nothing" if running else ""
    return f"model {model} is disabled: {waiting + running} jobs are held{ran}; `dicomnode models enable {model}`"


def enable(db: Database, model: str) -> str:
    """Let the jobs of a model run again; in words what was done.

    Raises
    ------
    ConfigError
        If it is not disabled.
    """
    with db.transaction():
        waiting = Models(db).enable(model)
    if waiting is None:
        raise ConfigError([Fault(key="NAME", value=model, remedy="it is not disabled")])
    return f"model {model} is enabled: {waiting} jobs wait for their turn"


def _folders(settings: Settings) -> set[str]:
    folder = settings.models.folder
    return {path.parent.name for path in folder.glob("*/model.toml")} if folder.is_dir() else set()


def _kept(one: Summary) -> Summary:
    """What of a summary is kept with the acceptance: no class of cases, and no value of a single one."""
    return {name: value for name, value in one.items() if name != "strata"}
