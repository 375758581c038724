"""The first page: how much stands where, what wants an eye, and what is under way, again every few seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from dicomnode.flow.shown.words import for_caller, written
from dicomnode.store.listed import Listing, Wanted
from dicomnode.store.moving import Movements
from dicomnode.store.story import Backlog, Story
from dicomnode.web.access import Caller, Viewer
from dicomnode.web.acting import tell_listed
from dicomnode.web.desk import Opened, OpenStore
from dicomnode.web.pages.drawing import Live, live_part, page, renewed

router = APIRouter(include_in_schema=False)

#: What the browser has of a part that renews itself.
Seen = Annotated[str, Query(max_length=16)]

#: Lines of each list; the rest is counted.
_SHOWN = 8

_ORDER = ("receiving", "waiting", "running", "failed", "held", "settled", "done", "cancelled", "abandoned")

#: The standing by which studies in a state are found, where there is one.
_STANDINGS = {"receiving": "receiving", "waiting": "waiting", "running": "running", "failed": "failed", "done": "done"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """One thing that wants an eye."""

    word: str
    what: str
    reason: str
    study: str = ""
    path: str = ""


@router.get("/")
def overview(request: Request, caller: Viewer, opened: OpenStore) -> Response:
    """All of the page."""
    tell_listed(request, caller, {})
    spoken = _spoken(Story(opened.db).backlog())
    return page(request, "overview.html", caller, live=_live(request, opened, caller), spoken=spoken)


@router.get("/live")
def live(request: Request, caller: Viewer, opened: OpenStore, seen: Seen = "") -> Response:
    """What changes on it."""
    tell_listed(request, caller, {})
    return renewed(request, "overview_live.html", caller, _live(request, opened, caller), seen)


@router.get("/live/spoken")
def spoken(request: Request, caller: Viewer, opened: OpenStore) -> Response:
    """The same in one sentence, which screen readers speak where it has changed."""
    return page(request, "spoken.html", caller, spoken=_spoken(Story(opened.db).backlog()))


def _live(request: Request, opened: Opened, caller: Caller) -> Live:
    backlog = Story(opened.db).backlog()
    moves, more = Movements(opened.db).under_way(_SHOWN)
    studies, _ = Listing(opened.db).studies(Wanted(), limit=_SHOWN)
    eye = _eye(backlog, caller)
    counts = {"Studies": backlog.studies, "Analyses": backlog.jobs, "Deliveries": backlog.deliveries}
    return live_part(
        request, "live.html", caller, counts=[_counts(title, one) for title, one in counts.items()], eye=eye[:_SHOWN],
        eye_more=max(0, len(eye) - _SHOWN), moves=moves, moves_more=more, studies=studies,
    )  # fmt: skip


def _counts(title: str, counts: dict[str, int]) -> dict[str, Any]:
    rows = [
        {"word": word, "count": counts[word], "path": _path(word)}
        for word in sorted(counts, key=lambda one: _ORDER.index(one) if one in _ORDER else len(_ORDER))
    ]
    return {"title": title, "rows": rows}


def _path(word: str) -> str:
    return f"/studies?standing={_STANDINGS[word]}" if word in _STANDINGS else "/studies"


def _eye(backlog: Backlog, caller: Caller) -> list[Eye]:
    found = [Eye(word="held", what="", study=one["study"], reason=one["reason"]) for one in backlog.held]
    found += [
        Eye(
            word="failed", what=one["what"], study=one["study"],
            reason=for_caller(one["what"], one["reason"], sees_names=caller.sees_names),
        )
        for one in backlog.failed
    ]  # fmt: skip
    found += [
        Eye(
            word="left alone",
            what=one["peer"],
            path="/peers",
            reason=f"until {one['next_try_at'][:19]}Z: "
            + for_caller("delivery", one["reason"], sees_names=caller.sees_names),
        )
        for one in backlog.backing_off
    ]
    found += [
        Eye(word="disabled", what=one["model"], path=f"/models/{one['model']}",
            reason=f"{one['waiting']} analyses wait: {one['reason']}")
        for one in backlog.disabled
    ]  # fmt: skip
    found += [
        Eye(
            word="flagged", what=f"by {one['by']}", study=one["study"],
            reason=written(one["reason"], sees_names=caller.sees_names),
        )
        for one in backlog.flagged
    ]  # fmt: skip
    found += [
        Eye(word="warn", what=f"message {one['notify']}", path="/log", reason=f"{one['state']}: {one['reason']}")
        for one in backlog.untold
    ]
    return found


def _spoken(backlog: Backlog) -> str:
    told = [
        (backlog.studies.get("receiving", 0), "studies are being received"),
        (backlog.jobs.get("waiting", 0), "analyses wait"),
        (backlog.jobs.get("running", 0), "analyses run"),
        (backlog.jobs.get("failed", 0), "analyses failed"),
        (backlog.deliveries.get("failed", 0), "deliveries failed"),
    ]
    return ", ".join(f"{count} {words}" for count, words in told if count) or "nothing waits and nothing failed"
