"""Hangs the pages, and the files they need, into the application."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from dicomnode.web.pages import acts, disk, logs, models, overview, peers, people, pictures, rules, sign, studies, study
from dicomnode.web.pages.drawing import problem_page
from dicomnode.web.pages.notes import Notes


def mount_pages(app: FastAPI) -> None:
    """Have people answered with pages, also where something goes wrong."""
    app.state.problem_page = problem_page
    app.state.notes = Notes()
    app.mount("/static", StaticFiles(directory=str(files("dicomnode.web") / "static")), name="static")
    for one in (overview, studies, study, pictures, acts, rules, models, peers, disk, logs, sign, people):
        app.include_router(one.router)
