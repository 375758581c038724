"""The studies that are in the books, searched for and page by page."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response

from dicomnode.domain.clock import to_text
from dicomnode.store.listed import STANDINGS, Listing, Wanted
from dicomnode.web.access import Caller, Viewer
from dicomnode.web.acting import tell_listed
from dicomnode.web.desk import Opened, OpenStore
from dicomnode.web.pages.drawing import page
from dicomnode.web.problem import declined

router = APIRouter(include_in_schema=False)

#: On a phone each takes a quarter of the screen.
_PER_PAGE = 25

#: Nobody turns further, and a number without limit does not fit into the database.
_MOST_PAGES = 100_000

PageNumber = Annotated[int, Query(alias="page", ge=1, le=_MOST_PAGES)]


@router.get("/studies")
def studies(
    request: Request,
    caller: Viewer,
    opened: OpenStore,
    uid: Annotated[str, Query(pattern=r"^[0-9.]{0,64}$")] = "",
    since: Annotated[str, Query(alias="from", max_length=10)] = "",
    until: Annotated[str, Query(alias="to", max_length=10)] = "",
    standing: Annotated[str, Query(max_length=20)] = "",
    number: PageNumber = 1,
) -> Response:
    """Studies by UID, day of arrival and standing."""
    wanted = Wanted(
        uid=uid, since=_midnight(since), until=_midnight(until, after=True),
        standing=standing if standing in STANDINGS else "",
    )  # fmt: skip
    asked = {"uid": uid, "from": since, "to": until, "standing": wanted.standing}
    query = urlencode({name: value for name, value in asked.items() if value})
    return _listed(
        request, caller, opened, wanted, number, since=since, until=until, query=f"{query}&" if query else ""
    )


@router.post("/studies")
def studies_of_patient(
    request: Request,
    caller: Viewer,
    opened: OpenStore,
    patient: Annotated[str, Form(min_length=1, max_length=64)],
    number: Annotated[int, Form(alias="page", ge=1, le=_MOST_PAGES)] = 1,
) -> Response:
    """Studies by patient, asked for in the body: no address and no log shall have a name."""
    if not caller.sees_names:
        raise declined(403, "the caller", "may not see who the patients are", "an account that may")
    return _listed(request, caller, opened, Wanted(patient=patient), number)


def _listed(
    request: Request, caller: Caller, opened: Opened, wanted: Wanted, number: int, *,
    since: str = "", until: str = "", query: str = "",
) -> Response:  # fmt: skip
    asked = {"patient": wanted.patient, "uid": wanted.uid, "from": since, "to": until, "standing": wanted.standing}
    tell_listed(request, caller, {**asked, "page": number})
    found, more = Listing(opened.db).studies(wanted, offset=(number - 1) * _PER_PAGE, limit=_PER_PAGE)
    return page(
        request, "studies.html", caller, studies=found, more=more, number=number, wanted=wanted, since=since,
        until=until, query=query, standings=STANDINGS,
    )  # fmt: skip


def _midnight(day: str, *, after: bool = False) -> str:
    """The beginning of a day in the zone of this machine, or its end, as the database writes times; "" for none."""
    try:
        begins = datetime.combine(date.fromisoformat(day), time()) + timedelta(days=1 if after else 0)
        return to_text(begins.astimezone(UTC))
    except (ValueError, OverflowError):
        return ""
