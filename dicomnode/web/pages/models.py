"""The models: what is installed, what this site has decided about it, and what it did lately."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from dicomnode.domain.errors import ConfigError
from dicomnode.flow.asked.hashed import CHECKING
from dicomnode.flow.asked.models import model_shown, models_shown
from dicomnode.flow.models.card import card
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.web.access import Administrator, Viewer
from dicomnode.web.acting import AdministratorActs
from dicomnode.web.api.acts import PLAIN
from dicomnode.web.api.forms import ModelName
from dicomnode.web.desk import OpenStore, SettingsNow
from dicomnode.web.pages.drawing import back, page
from dicomnode.web.problem import unknown

router = APIRouter(include_in_schema=False)


@router.get("/models")
def models(request: Request, caller: Viewer, opened: OpenStore, settings: SettingsNow) -> Response:
    """Every bundle."""
    return page(request, "models.html", caller, models=models_shown(settings, opened.db), checking=CHECKING)


@router.get("/models/{name}")
def model(request: Request, caller: Viewer, opened: OpenStore, settings: SettingsNow, name: ModelName) -> Response:
    """One bundle with its card."""
    shown = model_shown(settings, opened.db, name)
    if shown is None:
        raise unknown(f"model {name}")
    try:
        spec = load_bundle(settings.models.folder / name) if not shown.broken else None
    except ConfigError:
        spec = None
    text = card(spec) if spec else ""
    return page(request, "model.html", caller, one=shown, card=text, spec=spec, checking=CHECKING)


@router.post("/models/{name}/disable")
def disable(
    request: Request,
    caller: Administrator,
    acts: AdministratorActs,
    name: ModelName,
    reason: Annotated[str, Form(max_length=500, pattern=PLAIN)] = "",
) -> Response:
    """Hold the jobs of a model."""
    return back(request, caller, f"/models/{name}", acts.disable(name, reason), "warn")


@router.post("/models/{name}/enable")
def enable(request: Request, caller: Administrator, acts: AdministratorActs, name: ModelName) -> Response:
    """Let them run again."""
    return back(request, caller, f"/models/{name}", acts.enable(name))
