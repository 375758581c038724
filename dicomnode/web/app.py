"""Puts the application together: what guards every request, and who answers it."""

from __future__ import annotations

from fastapi import FastAPI

from dicomnode import __version__
from dicomnode.web import health, metrics
from dicomnode.web.api import accounts, acts, description, found, models, peers, results, rules, status, store, studies
from dicomnode.web.api.forms import PROBLEMS
from dicomnode.web.desk import Desk
from dicomnode.web.guard import Guard
from dicomnode.web.pages.mounted import mount_pages
from dicomnode.web.previews import Previews
from dicomnode.web.problem import handle_problems
from dicomnode.web.rates import Rate

#: Wrong guesses that one address has at once, and the seconds until it has them again.
_WRONG, _WRONG_SECONDS = 10, 600.0

#: Of one name, however many addresses guess it: 100 in a row (NIST SP 800-63B-4 3.2.2), and one in a quarter of an hour
#: after that, since who is locked out for good is locked out by anybody.
_GUESSED, _GUESSED_SECONDS = 100, 86_400.0

#: Of one name from one address. They come back more slowly than those of the name, so that one address alone cannot use
#: these up and keep a person out.
_PAIRED, _PAIRED_SECONDS = 10, 12_000.0

#: An address without a valid token has this part of what a caller has: enough for pages that lead to the sign-in.
_OF_STRANGERS = 10

#: A page that stays open asks again and again; to the audit trail that is one look.
_SEEN_SECONDS = 600.0

_ABOUT = """What the dashboard and the verbs of the command do, for programs. Not a medical device.

Send `Authorization: Bearer TOKEN`. `dicomnode web token add NAME --role viewer` makes a token. A *viewer* reads, an
*operator* also acts, an *administrator* also manages models, people and tokens; a *sender* may store by DICOMweb and
has nothing here. Patient names and IDs are there only for callers who may see them. Whatever goes wrong is told as
`{subject, found, needed}`.
"""


def create_app(desk: Desk) -> FastAPI:
    """The application of these settings; a client has to call it by a name of `Guard`, "localhost" for one."""
    app = FastAPI(
        title="dicomnode", version=__version__, description=_ABOUT, openapi_url=None, docs_url=None, redoc_url=None,
    )  # fmt: skip
    app.state.desk = desk
    per_minute = desk.settings.web.requests_per_minute
    app.state.requests = Rate(per_minute, 60.0)
    app.state.strangers = Rate(max(1, per_minute // _OF_STRANGERS), 60.0)
    app.state.wrong, app.state.paired = Rate(_WRONG, _WRONG_SECONDS), Rate(_PAIRED, _PAIRED_SECONDS)
    # Names that nobody has are counted apart: inventing them makes nothing forgotten of those that somebody has.
    app.state.guessed, app.state.invented = (Rate(_GUESSED, _GUESSED_SECONDS) for _ in range(2))
    app.state.seen = Rate(1, _SEEN_SECONDS)
    app.state.previews = Previews()
    handle_problems(app)
    app.add_middleware(Guard, table=desk.settings.web)
    for one in (status, studies, acts, found, results, peers, models, rules, store, accounts):
        app.include_router(one.router, prefix="/api", responses=PROBLEMS)
    app.include_router(description.router, prefix="/api")
    app.include_router(health.router)
    app.include_router(metrics.router)
    mount_pages(app)
    return app
