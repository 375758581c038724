"""The pages on which people sign in and out."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from dicomnode.flow.asked.allowed import SHORTEST_PASSCODE
from dicomnode.web.access import MaybeCaller, Viewer
from dicomnode.web.desk import OpenStore
from dicomnode.web.pages.drawing import back, page
from dicomnode.web.passcode import change_passcode
from dicomnode.web.problem import Declined
from dicomnode.web.sessions import sign_in, sign_out

router = APIRouter(include_in_schema=False)

#: Where somebody may be led after signing in: a page of ours, and nowhere else.
_OURS = re.compile(r"/(?:[\w.-]+/?)*", re.ASCII)


@router.get("/sign-in")
def ask(request: Request, after: Annotated[str, Query(alias="next", max_length=200)] = "/") -> Response:
    """Who are you?"""
    return page(request, "sign_in.html", None, problem="", next=_ours(after))


@router.post("/sign-in")
def begin(
    request: Request,
    opened: OpenStore,
    name: Annotated[str, Form(max_length=256)] = "",
    passcode: Annotated[str, Form(max_length=1024)] = "",
    after: Annotated[str, Form(alias="next", max_length=200)] = "/",
) -> Response:
    """Begin a session, or ask again."""
    led = RedirectResponse(_ours(after), status_code=303)
    try:
        sign_in(request, led, opened, name, passcode)
    except Declined as error:
        if error.status == 403:
            raise
        told = "Name or passcode is wrong." if error.status == 401 else f"Too many tries: {error.problem.needed}."
        asked = page(request, "sign_in.html", None, status=error.status, problem=told, next=_ours(after))
        asked.headers.update(error.headers)
        return asked
    return led


@router.get("/passcode")
def ask_passcode(request: Request, caller: Viewer) -> Response:
    """Another passcode for whoever is signed in."""
    return page(request, "passcode.html", caller, shortest=SHORTEST_PASSCODE)


@router.post("/passcode")
def new_passcode(
    request: Request,
    caller: Viewer,
    opened: OpenStore,
    old: Annotated[str, Form(max_length=256)] = "",
    new: Annotated[str, Form(max_length=256)] = "",
) -> Response:
    """Change it."""
    return back(request, caller, "/", change_passcode(request, opened, caller, old, new))


@router.post("/sign-out")
def end(request: Request, opened: OpenStore, caller: MaybeCaller) -> Response:
    """End the session."""
    led = RedirectResponse("/sign-in", status_code=303)
    if caller is not None:
        sign_out(request, led, opened, caller)
    return led


def _ours(path: str) -> str:
    return path if _OURS.fullmatch(path) else "/"
