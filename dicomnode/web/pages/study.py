"""One study: where it stands, its story, what was found, and where the results went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response
from pydicom.uid import UID

from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.operate import find
from dicomnode.flow.shown.measured import Number, numbers_of
from dicomnode.flow.shown.times import Stage, journey, stages
from dicomnode.flow.shown.words import explained, for_caller, of_story
from dicomnode.store.files import Files
from dicomnode.store.listed import Listed, Listing
from dicomnode.store.moving import DeliveryRow, JobRow, Movements, ResultRow
from dicomnode.store.story import Line, Story
from dicomnode.web.access import Caller, Viewer
from dicomnode.web.acting import tell_seen
from dicomnode.web.desk import Opened, OpenStore, SettingsNow
from dicomnode.web.pages.drawing import live_part, page, renewed
from dicomnode.web.pages.overview import Seen
from dicomnode.web.problem import declined, unknown
from dicomnode.web.taken import taken

router = APIRouter(include_in_schema=False)

#: PS3.5 9.1; also how one begins.
StudyUid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]

#: Kinds of result that can be drawn on their images, the best first.
_MASKS = ("seg", "labelmap")

#: So many numbers are shown; the report has all.
_NUMBERS = 120

#: Units of a bar.
_WIDE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a bar; places in thousandths."""

    kind: str
    x: int
    width: int
    stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """One job with what came of it."""

    job: JobRow
    results: list[ResultRow]
    way: list[Part]
    inside: list[Part]
    picture: ResultRow | None
    numbers: list[tuple[str, list[tuple[str, str, str]]]]
    numbers_more: int
    no_numbers: str


@router.get("/studies/{uid}")
def study(request: Request, caller: Viewer, opened: OpenStore, settings: SettingsNow, uid: StudyUid) -> Response:
    """The page of a study; how its UID begins leads there too."""
    one = Listing(opened.db).study(uid)
    if one is None:
        return RedirectResponse(f"/studies/{_found(opened, uid)}", status_code=303)
    tell_seen(request, caller, opened, uid)
    shown = _shown(opened, caller, one)
    live = live_part(request, "study_live_inside.html", caller, **shown)
    return page(request, "study.html", caller, live=live, renewing=False, **shown)


@router.get("/studies/{uid}/live")
def study_live(request: Request, caller: Viewer, opened: OpenStore, uid: StudyUid, seen: Seen = "") -> Response:
    """What of the page changes while something is under way."""
    one = _listed(opened, uid)
    tell_seen(request, caller, opened, uid)
    shown = _shown(opened, caller, one)
    live = live_part(request, "study_live_inside.html", caller, **shown)
    return renewed(
        request, "study_live.html", caller, live, seen, one=shown["one"], moves=shown["moves"], renewing=True
    )


@router.get("/studies/{uid}/results/{sop_instance_uid}")
def result(request: Request, caller: Viewer, opened: OpenStore, uid: StudyUid, sop_instance_uid: StudyUid) -> Response:
    """A result as a file."""
    return taken(request, caller, opened, uid, sop_instance_uid)


def _found(opened: Opened, uid: str) -> str:
    try:
        return find(opened.db, uid)
    except DicomNodeError as error:
        # What comes after names a verb, which does not help somebody in a browser.
        told, _, _ = str(error).partition("; `dicomnode")
        raise declined(404, f"study {uid}", told, "one that is listed") from error


def _listed(opened: Opened, uid: str) -> Listed:
    one = Listing(opened.db).study(uid)
    if one is None:
        raise unknown(f"study {uid}")
    return one


def _shown(opened: Opened, caller: Caller, one: Listed) -> dict[str, Any]:
    uid, rows = one.study_instance_uid, Movements(opened.db)
    lines, results, deliveries = Story(opened.db).why(uid), rows.results(uid), rows.deliveries(uid)
    jobs = [replace(job, retracted=explained(job.retracted, sees_names=caller.sees_names)) for job in rows.jobs(uid)]
    analyses = [
        _analysis(opened.files, job, [row for row in results if row.job_id == job.job_id], lines, deliveries)
        for job in jobs
    ]
    kinds = {row.result_id: UID(row.sop_class_uid).name for row in results}
    return {
        "one": one,
        "series": rows.series(uid),
        "analyses": analyses,
        "deliveries": [(row, kinds.get(row.result_id, ""), _told(row, caller)) for row in deliveries],
        "results": [(row, kinds[row.result_id]) for row in results if row.here],
        "story": [
            (line, of_story(line.entity, line.arrow, line.detail, sees_names=caller.sees_names)) for line in lines
        ],
        "moves": one.standing in ("receiving", "waiting", "running"),
        "failed": one.standing == "failed",
        "sent": any(row.state == "done" for row in deliveries),
        "waits": any(row.state == "waiting" for row in deliveries)
        or any(one.job.state == "waiting" for one in analyses),
    }


def _told(row: DeliveryRow, caller: Caller) -> str:
    return for_caller("delivery", row.reason, sees_names=caller.sees_names)


def _analysis(
    files: Files, job: JobRow, results: list[ResultRow], lines: list[Line], deliveries: list[DeliveryRow]
) -> Analysis:
    mine = {row.result_id for row in results}
    sent = [row for row in deliveries if row.result_id in mine]
    done_at = max((row.changed_at for row in sent), default="") if all(row.state == "done" for row in sent) else ""
    found, why = numbers_of(files, job, results)
    pictures = {
        row.kind: row for row in reversed(results)
        if row.kind in _MASKS and row.here and not row.occasion and files.path(row.path).is_file()
    }  # fmt: skip
    return Analysis(
        job=job,
        results=results,
        way=_bar(journey(lines, job.job_id, job.rule, done_at)),
        inside=_bar(stages(job.reason)) if job.state == "done" else [],
        picture=next((pictures[kind] for kind in _MASKS if kind in pictures), None),
        numbers=_grouped(found[:_NUMBERS]),
        numbers_more=max(0, len(found) - _NUMBERS),
        no_numbers=why,
    )


def _grouped(rows: Sequence[Number]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Neighbours about the same thing together."""
    return [(about, [row[1:] for row in group]) for about, group in groupby(rows, key=lambda row: row[0])]


def _bar(found: list[Stage]) -> list[Part]:
    whole = sum(stage.seconds for stage in found)
    if whole <= 0:
        return []
    ends = [round(_WIDE * end / whole) for end in accumulate(stage.seconds for stage in found)]
    return [
        Part(kind=f"p{number % 6 + 1}", x=begin, width=end - begin, stage=stage)
        for number, (stage, begin, end) in enumerate(zip(found, [0, *ends], ends, strict=False))
    ]
