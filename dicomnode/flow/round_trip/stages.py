"""Says how far a made study has come, stage by stage, with the time that each took."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from dicomnode.config import Settings
from dicomnode.flow.round_trip.choose import Chosen
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.store.database import Database
from dicomnode.store.round_trips import Delivered, Progress, RoundTrips

_WHY = "`dicomnode why {uid}` tells the story until the study is removed; see the log of the node"
_REPORTS = ("refusal",)


def told(db: Database, settings: Settings, chosen: Chosen, waited_seconds: float | None) -> Iterator[Check]:
    """What became of the study in the node; `waited_seconds` is how long it was waited for in vain, None: it ended."""
    rows, uid = RoundTrips(db), chosen.ticket.study_instance_uid
    progress = rows.progress(uid)
    times = {(what, arrow): rows.when(uid, what, arrow) for what, arrow in _ARROWS}
    late = "" if waited_seconds is None else f", given up after {waited_seconds:g} s"
    yield _arrived(settings, chosen, progress, times, late)
    yield from _analysed(chosen, progress, times, late)
    for one in progress.deliveries:
        yield _delivered(one, times, late)
    served = {one.destination for one in progress.deliveries}
    for peer in chosen.peers:
        if progress.job and progress.job.state == "done" and peer.name not in served:
            remedy = "`dicomnode check` tells what it accepts"
            yield Check(subject=f"to {peer.name}", verdict=Verdict.FAIL, found="nothing is owed to it", remedy=remedy)


_ARROWS = (
    ("study", "opened"), ("study", "settled"), ("job", "created"), ("job", "claimed"), ("job", "finished"),
    ("job", "failed"), ("delivery", "finished"),
)  # fmt: skip

_Times = dict[tuple[str, str], datetime | None]


def _between(times: _Times, first: tuple[str, str], last: tuple[str, str]) -> float | None:
    began, ended = times[first], times[last]
    return None if began is None or ended is None else max(0.0, (ended - began).total_seconds())


def _arrived(settings: Settings, chosen: Chosen, progress: Progress, times: _Times, late: str) -> Check:
    subject, count = "settled", len(chosen.datasets)
    seconds = _between(times, ("study", "opened"), ("study", "settled"))
    if progress.study is None or progress.objects < count:
        found = f"{progress.objects} of {count} images are in the books of {settings.store.folder}{late}"
        remedy = "is the node that listens there the one of this configuration?"
        return Check(subject=subject, verdict=Verdict.FAIL, found=found, remedy=remedy)
    if progress.study.state != "settled" or seconds is None:
        found, remedy = f"{progress.study.state}{late}", "look at [completion], and at the log of the receiving process"
        return Check(subject=subject, verdict=Verdict.FAIL, found=found, remedy=remedy)
    found = f"complete {seconds:.1f} s after the first image: {progress.study.reason}"
    return Check(subject=subject, verdict=Verdict.OK, found=found, seconds=seconds)


def _analysed(chosen: Chosen, progress: Progress, times: _Times, late: str) -> Iterator[Check]:
    subject, uid = f"analysed by rule {chosen.ticket.rule}", chosen.ticket.study_instance_uid
    job = progress.job
    if job is None:
        if progress.study is not None and progress.study.state == "settled":
            found, remedy = "the node made no job of it", "restart the node if the configuration was changed since"
            yield Check(subject=subject, verdict=Verdict.FAIL, found=found, remedy=remedy)
        return
    waited = _between(times, ("job", "created"), ("job", "claimed"))
    ran = _between(times, ("job", "claimed"), ("job", "finished"))
    if job.state != "done" or ran is None:
        found = f"{job.state}{late}: {job.reason}".rstrip(": ")
        yield Check(subject=subject, verdict=Verdict.FAIL, found=found, remedy=_WHY.format(uid=uid))
        return
    found = f"in {ran:.1f} s, after {waited or 0:.1f} s in the queue"
    refused = progress.refusal or any(one.role in _REPORTS for one in progress.deliveries)
    if refused:
        told = f"{found}: not analysed, which its report says. {progress.refusal}".strip()
        remedy = "the way through the node is open, but this model takes no made study"
        yield Check(subject=subject, verdict=Verdict.WARN, found=told, remedy=remedy, seconds=ran)
    else:
        yield Check(subject=subject, verdict=Verdict.OK, found=found, seconds=ran)


def _delivered(one: Delivered, times: _Times, late: str) -> Check:
    subject = f"{one.role} to {one.destination}"
    if one.state == "done":
        seconds = _between(times, ("job", "finished"), ("delivery", "finished"))
        found = "stored" if seconds is None else f"stored; the last object {seconds:.1f} s after the analysis"
        return Check(subject=subject, verdict=Verdict.OK, found=found, seconds=seconds)
    remedy = f"`dicomnode echo {one.destination}`, and `dicomnode check` for what it accepts"
    found = f"{one.state}{late}: {one.reason}".rstrip(": ")
    return Check(subject=subject, verdict=Verdict.FAIL, found=found, remedy=remedy)
