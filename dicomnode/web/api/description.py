"""The description of this interface: as OpenAPI for programs, and as a plain page for people."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
def openapi(request: Request) -> JSONResponse:
    """OpenAPI 3.1."""
    return JSONResponse(request.app.openapi())


@router.get("")
def listing(request: Request) -> HTMLResponse:
    """Every operation in a line; it works without a style sheet or script."""
    described: dict[str, Any] = request.app.openapi()
    rows = "".join(
        f"<tr><td><code>{method.upper()} {escape(path)}</code></td><td>{escape(told.get('summary', ''))}</td>"
        f"<td>{escape(told.get('description', ''))}</td></tr>\n"
        for path, methods in described["paths"].items() for method, told in methods.items()
    )  # fmt: skip
    title = escape(f"{described['info']['title']} {described['info']['version']}: REST interface")
    return HTMLResponse(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head><body><main>'
        f'<h1>{title}</h1><p><a href="/api/openapi.json">OpenAPI description</a></p>\n'
        '<table><thead><tr><th scope="col">operation</th><th scope="col">does</th><th scope="col">more</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></main></body></html>\n"
    )
