"""The models that are installed, with what this site has decided about each and what it has done lately."""

from __future__ import annotations

from dataclasses import dataclass

from dicomnode.config import Settings
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.model import ModelSpec
from dicomnode.flow.asked.hashed import known_by_now
from dicomnode.flow.models.installed import Installed
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.store.database import Database
from dicomnode.store.lately import Recent, Throughput
from dicomnode.store.models import Models


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Who has accepted a model for use on patients here; `void` since its bundle was changed."""

    by: str
    at: str
    version: str
    cases: int
    void: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShown:
    """One bundle.

    Attributes
    ----------
    files, card
        Whether its files are the declared ones (`hashed.CHECKING` until that is known), and whether its card says what
        it has to.
    recipe
        SHA-256 over model.toml and the declared hashes.
    disabled
        Why its jobs are held; "" where they are not.
    broken
        Why it cannot be used; then most of the rest is empty.
    jobs
        How many stand in which state.
    """

    name: str
    version: str = ""
    status: str = ""
    title: str = ""
    inputs: str = ""
    labels: str = ""
    files: str = ""
    intact: bool = False
    card: str = ""
    recipe: str = ""
    broken: str = ""
    disabled: str = ""
    rules: tuple[str, ...] = ()
    jobs: dict[str, int]
    last_done_at: str
    throughput: Throughput
    acceptance: Acceptance | None = None


def models_shown(settings: Settings, db: Database) -> list[ModelShown]:
    """Every bundle below the folder of models, by name, and those that rules name and that are not there."""
    found, broken = find_bundles(settings.models.folder) if settings.models.folder.is_dir() else ({}, {})
    described_by = known_by_now(found.values())
    shown = [_shown(settings, db, spec, described_by[spec.name]) for spec in found.values()]
    shown += [_broken(settings, db, name, error) for name, error in broken.items()]
    missing = {rule.model for rule in settings.rules} - {one.name for one in shown}
    shown += [_broken(settings, db, name, None) for name in missing]
    return sorted(shown, key=lambda one: one.name)


def model_shown(settings: Settings, db: Database, name: str) -> ModelShown | None:
    """One of them."""
    return next((one for one in models_shown(settings, db) if one.name == name), None)


def _shown(settings: Settings, db: Database, spec: ModelSpec, told: Installed) -> ModelShown:
    known, done = Models(db).accepted(spec.name), Models(db).lately(spec.name)
    return ModelShown(
        name=spec.name, version=told.version, status=told.status, title=told.title, inputs=told.inputs,
        labels=told.labels, files=told.files, intact=told.intact, card=told.card, recipe=spec.recipe,
        disabled=Models(db).disabled(spec.name), rules=_rules(settings, spec.name), jobs=dict(done.states),
        last_done_at=done.done_at, throughput=Recent(db).throughput(spec.name),
        acceptance=Acceptance(
            by=known.accepted_by, at=known.accepted_at.isoformat(), version=known.version, cases=known.cases,
            void=known.recipe != spec.recipe,
        ) if known else None,
    )  # fmt: skip


def _broken(settings: Settings, db: Database, name: str, error: ConfigError | None) -> ModelShown:
    done = Models(db).lately(name)
    return ModelShown(
        name=name, broken=str(error) if error else "a rule names it, and no bundle of this name is here",
        disabled=Models(db).disabled(name), rules=_rules(settings, name), jobs=dict(done.states),
        last_done_at=done.done_at, throughput=Recent(db).throughput(name),
    )  # fmt: skip


def _rules(settings: Settings, model: str) -> tuple[str, ...]:
    return tuple(rule.name for rule in settings.rules if rule.model == model)
