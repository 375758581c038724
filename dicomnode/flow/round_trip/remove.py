"""Finds the results of a made study at their destinations, and removes the study from this side."""

from __future__ import annotations

import time
from collections.abc import Iterator

from dicomnode.config import Settings
from dicomnode.domain.commitment import Reference
from dicomnode.domain.errors import DicomNodeError, OutOfResources
from dicomnode.domain.network import Peer
from dicomnode.flow.commitment.line import DimseLine
from dicomnode.flow.retract import retract
from dicomnode.flow.round_trip.choose import Chosen
from dicomnode.flow.storing.purge import purge
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.store.commitments import Wanted
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.round_trips import Delivered, RoundTrips

_WHY = "made by dicomnode check"

#: An archive may answer C-STORE before it has indexed; Orthanc and dcm4chee take well below a second.
_INDEXED_SECONDS = 10.0

#: Associations of the study end, and leases of its deliveries, within seconds.
_QUIET_SECONDS = 10.0

_POLL_SECONDS = 0.5


def found_again(db: Database, settings: Settings, chosen: Chosen) -> Iterator[Check]:
    """Whether every destination has by C-FIND what it has taken by C-STORE, and what stays there."""
    uid = chosen.ticket.study_instance_uid
    stored = [one for one in RoundTrips(db).progress(uid).deliveries if one.state == "done"]
    for peer in chosen.peers:
        objects = [one for one in stored if one.destination == peer.name]
        if objects:
            yield _found_at(settings, peer, uid, objects)


def _found_at(settings: Settings, peer: Peer, uid: str, objects: list[Delivered]) -> Check:
    subject = f"found again in {peer.name} by C-FIND"
    if peer.deidentify is not None:
        found = "not looked for: what goes there has other UIDs (deidentify)"
        return Check(subject=subject, verdict=Verdict.OK, found=found)
    if not peer.speaks_dimse:
        return Check(subject=subject, verdict=Verdict.OK, found="not looked for: it is reached by DICOMweb alone")
    wanted = [
        Wanted(
            position=number, reference=_named(one), study_instance_uid=uid,
            series_instance_uid=one.series_instance_uid, delivery_id=None, verdict=None, lost=0,
        )
        for number, one in enumerate(objects)
    ]  # fmt: skip
    line, began = DimseLine(peer, settings), time.monotonic()
    while True:
        try:
            answers = line.query(wanted)
        except DicomNodeError as error:
            remedy = f"allow {settings.node.aet} to query there; what was stored was not seen again"
            return Check(subject=subject, verdict=Verdict.WARN, found=str(error), remedy=remedy)
        seconds = time.monotonic() - began
        lost = [one.role for one in objects if answers.get(_named(one)) != 0]
        if not lost or seconds > _INDEXED_SECONDS:
            break
        time.sleep(_POLL_SECONDS)
    if lost:
        found = f"{', '.join(lost)} of study {uid}: stored by C-STORE, and not there {seconds:.0f} s later"
        remedy = f"ask who keeps {peer.name} what becomes of objects that it takes"
        return Check(subject=subject, verdict=Verdict.FAIL, found=found, remedy=remedy, seconds=seconds)
    what = ", ".join(f"{one.role} {one.sop_instance_uid}" for one in objects)
    found = f"{what}; they stay there: delete study {uid} of patient DICOMNODE-CHECK in {peer.name} if they disturb"
    if peer.rejection_notes:
        found = f"{what}; a rejection note takes them back"
    return Check(subject=subject, verdict=Verdict.OK, found=found, seconds=seconds)


def _named(one: Delivered) -> Reference:
    return Reference(sop_class_uid=one.sop_class_uid, sop_instance_uid=one.sop_instance_uid)


def rejected(db: Database, files: Files, settings: Settings, uid: str) -> Check | None:
    """Take the results back by a rejection note (IOCM), where all who have them act on one; None elsewhere."""
    have = {one.destination for one in RoundTrips(db).progress(uid).deliveries if one.state == "done"}
    peers = [settings.peer(name) for name in have]
    if not have or not all(peer is not None and peer.rejection_notes for peer in peers):
        return None
    words = retract(db, files, settings, uid, _WHY, "quality")
    return Check(subject="taken back", verdict=Verdict.OK, found=words)


def removed(
    db: Database, files: Files, settings: Settings, uid: str, what: str, patience_seconds: float = _QUIET_SECONDS
) -> Check:
    """Remove a made study with its files and its story; the audit trail has that it was removed."""
    subject, rows, deadline = "removed from this side", RoundTrips(db), time.monotonic() + patience_seconds
    if uid not in rows.left():
        return Check(subject=subject, verdict=Verdict.OK, found=f"{what} never came into the books")
    try:
        while busy := _files_stay(db, files, settings, uid):
            if time.monotonic() > deadline:
                remedy = "the next round trip removes it, once nothing is done with it any more"
                return Check(subject=subject, verdict=Verdict.WARN, found=f"{what} {uid} stays: {busy}", remedy=remedy)
            time.sleep(_POLL_SECONDS)
        with db.transaction():
            rows.forget(uid)
    except OutOfResources as error:
        remedy = "the next round trip removes it"
        return Check(subject=subject, verdict=Verdict.WARN, found=f"{what} {uid} stays: {error}", remedy=remedy)
    return Check(subject=subject, verdict=Verdict.OK, found=f"{what} {uid}: files, rows and story are gone")


def _files_stay(db: Database, files: Files, settings: Settings, uid: str) -> str:
    """Give up the files of a study; why they stay, "" if none is left."""
    (done,) = purge(db, files, settings, [uid], reason=_WHY)
    return "" if not RoundTrips(db).has_files(uid) else done.refused
