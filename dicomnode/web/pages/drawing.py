"""Draws pages from their templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dicomnode import __version__
from dicomnode.domain.role import Role
from dicomnode.flow.shown.measured import figures
from dicomnode.web.access import Caller
from dicomnode.web.desk import desk_of
from dicomnode.web.pages import filters
from dicomnode.web.pages.notes import notes_of
from dicomnode.web.problem import Problem

#: (path, name, least role)
_PLACES: Final = (
    ("/", "Overview", Role.VIEWER),
    ("/studies", "Studies", Role.VIEWER),
    ("/rules", "Rules", Role.VIEWER),
    ("/models", "Models", Role.VIEWER),
    ("/peers", "Peers", Role.VIEWER),
    ("/disk", "Disk", Role.VIEWER),
    ("/log", "Log", Role.VIEWER),
    ("/people", "People", Role.ADMINISTRATOR),
)

_HEADINGS: Final = {
    403: "Not allowed", 404: "Not here", 409: "Not done", 413: "Too large", 422: "Not understood",
    429: "Too often", 503: "Not now",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One entry of the list of places."""

    path: str
    name: str
    here: bool


@cache
def templates() -> Environment:
    """The templates; whatever they show is escaped, and what they are not given is a fault."""
    made = Environment(
        loader=PackageLoader("dicomnode.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {
        "local": filters.local, "size": filters.size, "lasting": filters.lasting, "cut_uid": filters.cut_uid,
        "day": filters.day, "person": filters.person, "words": filters.words, "figures": figures,
    }  # fmt: skip
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A part of a page that renews itself; `seen` is the same for as long as it looks the same."""

    html: Markup
    seen: str


def page(request: Request, template: str, caller: Caller | None, *, status: int = 200, **values: Any) -> Response:
    """A page, or part of one, for a caller.

    Parameters
    ----------
    values
        What the template shows beside the frame.
    """
    if caller is not None and (number := request.query_params.get("note", "")):
        values["note"] = notes_of(request).take(number, caller.name)
    return HTMLResponse(_drawn(request, template, caller, values), status_code=status)


def live_part(request: Request, template: str, caller: Caller, **values: Any) -> Live:
    """A part that stands in its page, and comes again by itself."""
    html = _drawn(request, template, caller, values)
    # What was drawn here was escaped here.
    return Live(html=Markup(html), seen=sha256(html.encode()).hexdigest()[:16])  # noqa: S704


def renewed(request: Request, template: str, caller: Caller, part: Live, seen: str, **values: Any) -> Response:
    """The part anew, or nothing where it looks as it did: what has the focus in it keeps it."""
    if part.seen == seen:
        return Response(status_code=204)
    return page(request, template, caller, live=part, **values)


def _drawn(request: Request, template: str, caller: Caller | None, values: Mapping[str, Any]) -> str:
    path = request.url.path
    role = caller.role if caller else None
    shown = {
        "who": caller,
        "node": desk_of(request).settings.node.aet,
        "version": __version__,
        "zone": filters.zone(),
        "note": None,
        "acts": role is not None and role.covers(Role.OPERATOR),
        "manages": role is not None and role.covers(Role.ADMINISTRATOR),
        "places": [
            Place(path=to, name=name, here=path == to or (to != "/" and path.startswith(f"{to}/")))
            for to, name, least in _PLACES
            if role is not None and role.covers(least)
        ],
    }
    return templates().get_template(template).render({**shown, **values})


def back(request: Request, caller: Caller, path: str, text: str, kind: str = "good") -> Response:
    """Lead a browser that has sent a form to a page that says what was done; what it says is in no address."""
    number = notes_of(request).leave(caller.name, text, kind)
    return RedirectResponse(f"{path}?note={number}", status_code=303)


def problem_page(request: Request, status: int, problem: Problem) -> Response:
    """What went wrong, in one sentence; who is not known is led to the sign-in."""
    if status == 401:
        if request.headers.get("HX-Request"):
            return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
        after = f"?next={request.url.path}" if request.method == "GET" and request.url.path != "/" else ""
        return RedirectResponse(f"/sign-in{after}", status_code=303)
    sentence = f"{problem.subject}: {problem.found}; needed {problem.needed}."
    if status in (429, 500, 503):
        # What is needed then is something to do, or where to look.
        sentence = f"{problem.subject}: {problem.found}; {problem.needed}."
    if status in (404, 409):
        sentence = f"{problem.subject}: {problem.found}." if status == 404 else f"{problem.found}."
    heading = _HEADINGS.get(status, "Something went wrong")
    return page(request, "problem.html", None, status=status, heading=heading, sentence=sentence)
