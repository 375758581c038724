"""People sign in and out; wrong guesses are counted by address, by name and by both."""

from __future__ import annotations

from collections.abc import Sequence
from threading import BoundedSemaphore
from urllib.parse import urlsplit

from fastapi import Request, Response

from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.asked.accounts import Accounts
from dicomnode.store.web_people import WebPeople
from dicomnode.web.access import Caller, cookie_of, csrf_of, hold_back
from dicomnode.web.acting import participant
from dicomnode.web.desk import Opened, desk_of
from dicomnode.web.problem import Declined, declined
from dicomnode.web.rates import Rate, place_of

#: scrypt takes 16 MiB and 50 ms for each guess, so that a flood of them does not take the machine.
_AT_ONCE = BoundedSemaphore(2)
_BUSY_SECONDS = 1.0


def sign_in(request: Request, response: Response, opened: Opened, name: str, passcode: str) -> Caller:
    """Begin a session and give its cookie to `response`; who it is.

    Raises
    ------
    Declined
        It is nobody (401, whatever was wrong), too many guesses were wrong (429), or a page of others asks (403).
    """
    _require_own_page(request)
    settings, address = desk_of(request).settings, place_of(request.client.host if request.client else "")
    state, known = request.app.state, WebPeople(opened.db).has(name)
    by_name: tuple[tuple[Rate, str], ...] = (
        (state.guessed if known else state.invented, name), (state.paired, f"{address} {name}"),
    )  # fmt: skip
    rates = ((state.wrong, address), *by_name)
    _take_all(rates)
    try:
        if not _AT_ONCE.acquire(timeout=_BUSY_SECONDS):
            hold_back(_BUSY_SECONDS)
        try:
            # Also a name that nobody has stands in the trail, but no more of it than a name may have.
            found = Accounts(opened.db, settings, participant(request, name[:64])).sign_in(name, passcode)
        finally:
            _AT_ONCE.release()
    except (Declined, DicomNodeError):
        # Nothing was learned from it.
        for rate, key in rates:
            rate.give_back(key)
        raise
    if found is None:
        raise declined(401, "the caller", "not known", "the right name and passcode")
    # What the address has guessed of other names stays guessed.
    state.wrong.give_back(address)
    for rate, key in by_name:
        rate.forgive(key)
    account, session = found
    response.set_cookie(
        cookie_of(request), session, max_age=int(settings.web.session_hours * 3600), path="/", httponly=True,
        samesite="strict", secure=request.url.scheme == "https",
    )  # fmt: skip
    return Caller(name=account.name, role=account.role, sees_names=account.sees_names, csrf=csrf_of(session))


def sign_out(request: Request, response: Response, opened: Opened, caller: Caller) -> None:
    """End the session of this request, if it has one."""
    session = request.cookies.get(cookie_of(request), "")
    if session and caller.person:
        Accounts(opened.db, desk_of(request).settings, participant(request, caller.name)).sign_out(session)
    response.delete_cookie(
        cookie_of(request), path="/", httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )


def _require_own_page(request: Request) -> None:
    """Refuse a form of another site, which would sign a browser in as somebody else (login CSRF).

    Raises
    ------
    Declined
        The browser says that the request comes from elsewhere (W3C Fetch Metadata; RFC 6454 where it does not know it).
    """
    site, origin = request.headers.get("Sec-Fetch-Site", ""), request.headers.get("Origin", "null")
    # Our own pages send no referrer, and with that the origin "null"; a proxy may leave the port out of our name.
    named = origin != "null" and urlsplit(origin).hostname != request.url.hostname
    if site not in ("same-origin", "none") if site else named:
        raise declined(403, "the request", "it comes from a page of another site", "the sign-in page of this node")


def _take_all(rates: Sequence[tuple[Rate, str]]) -> None:
    """Take one guess of each before it is made, so that many at once are not more than one after another."""
    for number, (rate, key) in enumerate(rates):
        if seconds := rate.take(key):
            for other, taken in rates[:number]:
                other.give_back(taken)
            hold_back(seconds)
