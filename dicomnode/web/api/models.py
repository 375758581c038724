"""The models: what is installed, what this site has decided about each, and how to hold one."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dicomnode.flow.asked.models import ModelShown, model_shown, models_shown
from dicomnode.flow.models.card import card
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.web.access import Viewer
from dicomnode.web.acting import AdministratorActs
from dicomnode.web.api.acts import PLAIN
from dicomnode.web.api.forms import Done, ModelName
from dicomnode.web.desk import OpenStore, SettingsNow
from dicomnode.web.problem import unknown

router = APIRouter(tags=["models"])


class Models(BaseModel):
    """Every bundle, by name; also those that cannot be used, and those that a rule names and that are not there."""

    models: list[ModelShown]


class ModelInFull(BaseModel):
    """One bundle with what it declares."""

    model: ModelShown
    declared: str = Field(description="Its model.toml.")
    card: str = Field(description="Its CARD.md; empty: it has none.")


class Why(BaseModel):
    """Why a model is held."""

    reason: str = Field(
        min_length=1, max_length=500, pattern=PLAIN, description="It stands in the story of every study that waits."
    )


@router.get("/models", operation_id="list_models", summary="Models", response_model_exclude_none=True)
def list_models(caller: Viewer, opened: OpenStore, settings: SettingsNow) -> Models:
    """What is installed, whether its files are the declared ones, who accepted it, and what it did lately."""
    return Models(models=models_shown(settings, opened.db))


@router.get("/models/{name}", operation_id="get_model", summary="One model", response_model_exclude_none=True)
def get_model(name: ModelName, caller: Viewer, opened: OpenStore, settings: SettingsNow) -> ModelInFull:
    """With its declaration and its card."""
    found = model_shown(settings, opened.db, name)
    if found is None:
        raise unknown(f"model {name}")
    if found.broken:
        return ModelInFull(model=found, declared="", card="")
    spec = load_bundle(settings.models.folder / name)
    declared = (spec.folder / "model.toml").read_text(encoding="utf-8")
    return ModelInFull(model=found, declared=declared, card=card(spec))


@router.post("/models/{name}/disable", operation_id="disable_model", summary="Hold the jobs of a model")
def disable_model(name: ModelName, why: Why, acts: AdministratorActs, opened: OpenStore, settings: SettingsNow) -> Done:
    """At once, those that run included; nothing of it is analysed until it is enabled."""
    _require(name, opened, settings)
    return Done(done=acts.disable(name, why.reason))


@router.post("/models/{name}/enable", operation_id="enable_model", summary="Let the jobs of a model run again")
def enable_model(name: ModelName, acts: AdministratorActs, opened: OpenStore, settings: SettingsNow) -> Done:
    """What waited meanwhile runs."""
    _require(name, opened, settings)
    return Done(done=acts.enable(name))


def _require(name: str, opened: OpenStore, settings: SettingsNow) -> None:
    if model_shown(settings, opened.db, name) is None:
        raise unknown(f"model {name}")
