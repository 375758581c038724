"""Disables models, which holds their jobs, and enables them again."""

from __future__ import annotations

from dicomnode.config import Settings
from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.store.database import Database
from dicomnode.store.models import Models


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
