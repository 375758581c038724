"""Disables models, which holds their jobs, and enables them again."""

from __future__ import annotations

from dicomnode.audit.event import Participant
from dicomnode.config import Settings
from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.flow.audited.trail import tell_changed
from dicomnode.store.database import Database
from dicomnode.store.models import Models


def disable(db: Database, settings: Settings, model: str, reason: str, who: Participant | None = None) -> str:
    """Hold the jobs of a model for `who`, or whoever runs this command; in words what was done.

    Raises
    ------
    ConfigError
        If no rule names it and no bundle bears its name, so that it is a slip of the pen.
    OutOfResources
        It cannot be recorded and has to be.
    """
    known = {rule.model for rule in settings.rules} | _folders(settings)
    if model not in known:
        remedy = f"no such model; known: {', '.join(sorted(known)) or 'none'}"
        raise ConfigError([Fault(key="NAME", value=model, remedy=remedy)])
    why = reason.strip() or "no reason given"
    with db.transaction():
        waiting, running = Models(db).disable(model, why)
        tell_changed(settings, f"model {model} is disabled: {why}", who)
    ran = f", {running} of which were taken from their workers and leave nothing" if running else ""
    return f"model {model} is disabled: {waiting + running} jobs are held{ran}; `dicomnode models enable {model}`"


def enable(db: Database, settings: Settings, model: str, who: Participant | None = None) -> str:
    """Let the jobs of a model run again for `who`, or whoever runs this command; in words what was done.

    Raises
    ------
    ConfigError
        If it is not disabled.
    OutOfResources
        It cannot be recorded and has to be.
    """
    with db.transaction():
        waiting = Models(db).enable(model)
        if waiting is None:
            raise ConfigError([Fault(key="NAME", value=model, remedy="it is not disabled")])
        tell_changed(settings, f"model {model} is enabled", who)
    return f"model {model} is enabled: {waiting} jobs wait for their turn"


def _folders(settings: Settings) -> set[str]:
    folder = settings.models.folder
    return {path.parent.name for path in folder.glob("*/model.toml")} if folder.is_dir() else set()
