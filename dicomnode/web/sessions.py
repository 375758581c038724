"""People sign in and out; wrong guesses are counted by address and by name."""

from __future__ import annotations

from threading import BoundedSemaphore

from fastapi import Request, Response

from dicomnode.flow.asked.accounts import Accounts
from dicomnode.web.access import COOKIE, Caller, csrf_of, hold_back
from dicomnode.web.acting import participant
from dicomnode.web.desk import Opened, desk_of
from dicomnode.web.problem import declined
from dicomnode.web.rates import Rate

#: scrypt takes 16 MiB and 50 ms for each guess, so that a flood of them does not take the machine.
_AT_ONCE = BoundedSemaphore(2)
_BUSY_SECONDS = 1.0


def sign_in(request: Request, response: Response, opened: Opened, name: str, passcode: str) -> Caller:
    """Begin a session and give its cookie to `response`; who it is.

    Raises
    ------
    Declined
        It is nobody (401, whatever was wrong), or too many guesses were wrong (429).
    """
    settings, address = desk_of(request).settings, request.client.host if request.client else ""
    rates: tuple[tuple[Rate, str], ...] = ((request.app.state.wrong, address), (request.app.state.guessed, name))
    hold_back(max(rate.wait(key) for rate, key in rates))
    if not _AT_ONCE.acquire(timeout=_BUSY_SECONDS):
        hold_back(_BUSY_SECONDS)
    try:
        # Also a name that nobody has stands in the trail, but no more of it than a name may have.
        found = Accounts(opened.db, settings, participant(request, name[:64])).sign_in(name, passcode)
    finally:
        _AT_ONCE.release()
    if found is None:
        for rate, key in rates:
            rate.take(key)
        raise declined(401, "the caller", "not known", "the right name and passcode")
    for rate, key in rates:
        rate.forgive(key)
    account, session = found
    response.set_cookie(
        COOKIE, session, max_age=int(settings.web.session_hours * 3600), path="/", httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return Caller(name=account.name, role=account.role, sees_names=account.sees_names, csrf=csrf_of(session))


def sign_out(request: Request, response: Response, opened: Opened, caller: Caller) -> None:
    """End the session of this request, if it has one."""
    session = request.cookies.get(COOKIE, "")
    if session and caller.person:
        Accounts(opened.db, desk_of(request).settings, participant(request, caller.name)).sign_out(session)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=request.url.scheme == "https")
