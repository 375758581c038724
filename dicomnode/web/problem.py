"""The one form in which whatever goes wrong is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from dicomnode.domain.errors import DicomNodeError, OutOfResources

_log = structlog.get_logger(__name__)

#: Seconds after which it is worth trying again where a disk is full or a database is held.
_LATER_SECONDS = 10

#: Scripts, styles and pictures come from this node alone, nothing is inline, and no other page may show ours.
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

#: What every answer says to browsers.
ALWAYS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

#: Below these paths programs ask; everywhere else people do.
FOR_PROGRAMS = ("/api", "/metrics", "/healthz", "/readyz")


class Problem(BaseModel):
    """What went wrong."""

    subject: str = Field(description="What this is about: a field, a study, the caller.")
    found: str = Field(description="What was found.")
    needed: str = Field(description="What would have been needed, or what to do.")


class Declined(Exception):
    """A request is answered with a problem instead of what it asked for."""

    def __init__(self, status: int, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.problem, self.headers = status, problem, dict(headers or {})
        super().__init__(problem.subject)


#: Draws a problem for people; the pages put theirs into `app.state.problem_page`.
ProblemPage = Callable[[Request, int, Problem], Response]


def declined(status: int, subject: str, found: str, needed: str, **headers: str) -> Declined:
    """The exception to raise; underscores in the names of headers stand for hyphens."""
    return Declined(
        status, Problem(subject=subject, found=found, needed=needed),
        {name.replace("_", "-"): value for name, value in headers.items()},
    )  # fmt: skip


def unknown(subject: str) -> Declined:
    """Nothing of that name is here."""
    return declined(404, subject, "there is none", "one that is listed")


def answer(request: Request, status: int, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """A problem as JSON for programs, as a page for people where the pages can draw one."""
    page: ProblemPage | None = getattr(request.app.state, "problem_page", None)
    if page is None or request.url.path.startswith(FOR_PROGRAMS):
        return JSONResponse(problem.model_dump(), status_code=status, headers=dict(headers or {}))
    drawn = page(request, status, problem)
    drawn.headers.update(headers or {})
    return drawn


def handle_problems(app: FastAPI) -> None:
    """Have every fault answered in this form; none with a traceback."""

    @app.exception_handler(Declined)
    async def _declined(request: Request, error: Declined) -> Response:
        return answer(request, error.status, error.problem, error.headers)

    @app.exception_handler(OutOfResources)
    async def _resources(request: Request, error: OutOfResources) -> Response:
        _log.warning("request put off", reason=str(error))
        problem = Problem(subject="the node", found=str(error), needed="try again later")
        return answer(request, 503, problem, {"Retry-After": str(_LATER_SECONDS)})

    @app.exception_handler(DicomNodeError)
    async def _ours(request: Request, error: DicomNodeError) -> Response:
        problem = Problem(subject="the request", found=str(error), needed="see what was found")
        return answer(request, 409, problem)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        first: dict[str, Any] = dict(error.errors()[0])
        where = ".".join(str(part) for part in first.get("loc", ()))
        # The value itself is not told: it may be a passcode, or a patient's name.
        problem = Problem(subject=where or "the request", found="not as described", needed=str(first.get("msg", "")))
        return answer(request, 422, problem)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        problem = Problem(subject=request.url.path, found=str(error.detail), needed="see the description of this API")
        return answer(request, error.status_code, problem, error.headers)

    @app.exception_handler(500)
    async def _bug(request: Request, error: Exception) -> Response:
        _log.error("request failed", method=request.method, path=request.scope["path"], exc_info=error)
        problem = Problem(subject="the node", found="an error inside the node", needed="its log has the details")
        # This answer is given outside of everything that guards the others.
        return answer(request, 500, problem, {**ALWAYS, "Cache-Control": "no-store"})
