"""Who calls, and whether they may: bearer tokens of programs, sessions of people."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from math import ceil
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.requests import HTTPConnection

from dicomnode.domain.role import Account, Role
from dicomnode.store.web_people import WebPeople
from dicomnode.store.web_tokens import WebTokens
from dicomnode.web.desk import Opened, OpenStore
from dicomnode.web.problem import Declined, declined
from dicomnode.web.rates import Rate, place_of

__all__ = [
    "COOKIE", "CSRF_FIELD", "CSRF_HEADER", "Administrator", "Caller", "MaybeCaller", "Operator", "Role", "Viewer",
]  # fmt: skip

COOKIE = "dicomnode_session"

#: Over TLS: a browser takes a cookie of such a name from a page over TLS alone (RFC 6265bis 4.1.3.2).
_SECURE_COOKIE = f"__Host-{COOKIE}"

#: Where a page sends back what it was given against forged requests.
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

#: What is asked for by the clock.
_UNCOUNTED = ("/metrics",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who has sent this request.

    Attributes
    ----------
    sees_names
        Whether they may see who the patients are.
    csrf
        What their pages send back with every unsafe request, as the header `X-CSRF-Token` or the form field
        `csrf_token`; "" for a program.
    """

    name: str
    role: Role
    sees_names: bool
    csrf: str = field(default="", repr=False)

    @property
    def person(self) -> bool:
        """Whether it is a person with a session, and no program with a token."""
        return bool(self.csrf)


def cookie_of(request: HTTPConnection) -> str:
    """Name of the cookie that holds the session."""
    return _SECURE_COOKIE if request.url.scheme == "https" else COOKIE


def csrf_of(session: str) -> str:
    """What belongs to a session against forged requests; nobody gets from it to the session."""
    return hashlib.sha256(b"csrf:" + session.encode()).hexdigest()


async def _form_token(request: Request) -> str:
    """What a form sent against forged requests, "" where something else was sent."""
    if request.method in _SAFE or cookie_of(request) not in request.cookies or CSRF_HEADER in request.headers:
        return ""
    if not request.headers.get("Content-Type", "").startswith(_FORMS):
        return ""
    sent = (await request.form()).get(CSRF_FIELD, "")
    return sent if isinstance(sent, str) else ""


FormToken = Annotated[str, Depends(_form_token)]

#: These stand in the description of the interface; what they are worth is looked at below.
_BEARER = HTTPBearer(auto_error=False, description="A token; `dicomnode web token add NAME` makes one.")
_SESSION = APIKeyCookie(
    name=COOKIE, auto_error=False, description=f"The session of a person; over TLS it is named {_SECURE_COOKIE}."
)


def _maybe_caller(
    request: Request,
    opened: OpenStore,
    form_token: FormToken,
    _bearer: Annotated[object, Security(_BEARER)] = None,
    _session: Annotated[object, Security(_SESSION)] = None,
) -> Caller | None:
    """Who calls, None if nobody is known."""
    # What a proxy or a browser adds for itself (Basic) says nothing of the caller here.
    if (token := _token_of(request)) is not None:
        found = WebTokens(opened.db).bearer(token)
        caller = _caller(found) if found else None
    else:
        caller = _of_cookie(request, opened, form_token)
    rate: Rate = request.app.state.requests
    if caller is not None and not request.url.path.startswith(_UNCOUNTED):
        hold_back(rate.take(caller.name))
    return caller


def _token_of(request: HTTPConnection) -> str | None:
    """The bearer token of a request, None if it has none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def known(request: HTTPConnection, opened: Opened) -> bool:
    """Whether somebody who may see a page has sent this, before its body has come; nothing is taken of any rate."""
    token, session = _token_of(request), request.cookies.get(cookie_of(request), "")
    if token is None:
        return bool(session) and WebPeople(opened.db).of_session(session) is not None
    found = WebTokens(opened.db).bearer(token)
    return found is not None and found.role.covers(Role.VIEWER)


def _of_cookie(request: Request, opened: Opened, form_token: str) -> Caller | None:
    session = request.cookies.get(cookie_of(request), "")
    found = WebPeople(opened.db).of_session(session) if session else None
    if found is None:
        return None
    caller = _caller(found, csrf_of(session))
    sent = request.headers.get(CSRF_HEADER, "") or form_token
    if request.method not in _SAFE and not hmac.compare_digest(sent.encode(), caller.csrf.encode()):
        raise declined(403, "the request", "it does not come from a page of this node", f"the header {CSRF_HEADER}")
    return caller


def _caller(found: Account, csrf: str = "") -> Caller:
    return Caller(name=found.name, role=found.role, sees_names=found.sees_names, csrf=csrf)


MaybeCaller = Annotated[Caller | None, Depends(_maybe_caller)]


def hold_back(seconds: float) -> None:
    """Refuse who has to wait for so long."""
    if seconds > 0:
        again = ceil(seconds)
        raise declined(429, "the caller", "too many requests", f"wait {again} s", Retry_After=str(again))


def nobody() -> Declined:
    """The same to whoever is not known, whatever was wrong."""
    return declined(401, "the caller", "not known", "a bearer token, or sign in", WWW_Authenticate="Bearer")


def _having(needed: Role, request: Request, caller: Caller | None) -> Caller:
    if caller is None:
        address = place_of(request.client.host if request.client else "")
        rate: Rate = request.app.state.strangers
        hold_back(rate.take(address))
        raise nobody()
    if not caller.role.covers(needed):
        raise declined(403, "the caller", f"role {caller.role}", f"role {needed}")
    return caller


def _viewer(request: Request, caller: MaybeCaller) -> Caller:
    return _having(Role.VIEWER, request, caller)


def _operator(request: Request, caller: MaybeCaller) -> Caller:
    return _having(Role.OPERATOR, request, caller)


def _administrator(request: Request, caller: MaybeCaller) -> Caller:
    return _having(Role.ADMINISTRATOR, request, caller)


Viewer = Annotated[Caller, Depends(_viewer)]
Operator = Annotated[Caller, Depends(_operator)]
Administrator = Annotated[Caller, Depends(_administrator)]
