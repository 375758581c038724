"""The reference of the REST interface, from its own description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dicomnode.config import Settings
from dicomnode.web.api.forms import PROBLEMS
from dicomnode.web.app import create_app
from dicomnode.web.desk import Desk


def description() -> dict[str, Any]:
    """OpenAPI, as `/api/openapi.json` answers it."""
    described: dict[str, Any] = create_app(Desk(settings=Settings())).openapi()
    return described


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every operation."""
    for path, methods in sorted(description()["paths"].items()):
        for method, told in sorted(methods.items()):
            yield method.upper(), path, told


def api() -> str:
    """The page."""
    lines = [
        "# REST interface",
        "",
        "[Dashboard and REST interface](../api.md) says who gets in and how to ask; `/api/openapi.json` of a running"
        " node has all of this for programs.",
        "",
        "Whatever goes wrong is answered by `{subject, found, needed}`:",
        "",
        "| status | when |",
        "|---|---|",
        *(f"| {status} | {told['description']} |" for status, told in PROBLEMS.items()),
    ]
    for method, path, told in operations():
        lines += ["", f"## `{method} {path}`", "", " ".join((told.get("summary") or "").split()) + "."]
        if told.get("description"):
            lines += ["", " ".join(told["description"].split())]
        rows = [_row(one) for one in told.get("parameters", ())]
        if rows:
            lines += ["", "| parameter | where | |", "|---|---|---|", *rows]
        if body := _body(told):
            lines += ["", f"Body: {body}."]
    return "\n".join(lines) + "\n"


def _row(one: dict[str, Any]) -> str:
    text = " ".join(one.get("description", "").split()).replace("|", "\\|")
    return f"| `{one['name']}` | {one['in']}{', required' if one.get('required') else ''} | {text} |"


def _body(told: dict[str, Any]) -> str:
    content = told.get("requestBody", {}).get("content", {})
    names = (
        f"`{kind}` ({form['schema'].get('$ref', '').rpartition('/')[2] or 'see the description'})"
        for kind, form in content.items()
    )
    return ", ".join(names)
