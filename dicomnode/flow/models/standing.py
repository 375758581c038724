"""What this site has decided about a model, held against what a rule wants of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from dicomnode import __version__
from dicomnode.config import Settings
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.rule import Rule, Use
from dicomnode.store.database import Database
from dicomnode.store.models import Models


@contextmanager
def known_here(settings: Settings) -> Iterator[Database | None]:
    """The database of a node that is set up; None where there is none, and then nothing was decided yet."""
    path = settings.store.folder / "node.db"
    if not os.access(path, os.W_OK):
        yield None
        return
    with closing(Database(path)) as db:
        yield db


def not_accepted(db: Database | None, rule: Rule, spec: ModelSpec | None) -> str:
    """Why a clinical rule may not use a model, or "". Without a database nothing was accepted.

    What model.toml says of its own status counts for nothing: whoever made a bundle cannot accept it for this site.
    """
    if rule.use is not Use.CLINICAL or spec is None:
        return ""
    known = Models(db).accepted(spec.name) if db is not None else None
    if known is None:
        return f"model {spec.name} is not accepted here for clinical use"
    if known.recipe != spec.recipe:
        day = f"{known.accepted_at:%Y-%m-%d}"
        return f"model {spec.name} was changed since {known.accepted_by} accepted version {known.version} on {day}"
    return ""


def accepted_otherwise(db: Database | None, rule: Rule, spec: ModelSpec | None) -> str:
    """What is doubtful about the acceptance of a clinical rule's model, or "".

    The digest of the bundle does not cover the steps round the network, which are this software's.
    """
    if rule.use is not Use.CLINICAL or spec is None:
        return ""
    known = Models(db).accepted(spec.name) if db is not None else None
    if known is None or known.node == __version__:
        return ""
    return f"model {spec.name} was accepted under dicomnode {known.node or '(unknown)'}, and this is {__version__}"


def held_for(db: Database | None, model: str) -> tuple[str, ...]:
    """In words why the jobs of a model wait; nothing where they do not."""
    reason = Models(db).disabled(model) if db is not None else ""
    return (f"model {model} is disabled: {reason}; what it would do waits",) if reason else ()
