"""Takes back what was sent of a study: a rejection note, or a report and picture marked WITHDRAWN."""

from __future__ import annotations

from pathlib import Path

from pydicom import Dataset, dcmread

from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.work import Occasion
from dicomnode.flow.choice import Choice
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.keep import keep_notice
from dicomnode.flow.notices import withdrawn
from dicomnode.flow.operate import find
from dicomnode.infer.read.faults import READ_FAULTS
from dicomnode.report.rejection import TITLES
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs, Made
from dicomnode.store.retractions import Held, Retractions


def retract(db: Database, files: Files, settings: Settings, study: str, reason: str, code: str) -> str:
    """Take back every result of a study that was sent, wherever it was sent, and cancel what was not; in words.

    What says so goes through the outbox like every result. Doing it again does nothing new, but for results of later
    analyses.

    Parameters
    ----------
    reason
        Why, in words for those who have read the results.
    code
        One of `report.rejection.TITLES`.

    Raises
    ------
    DicomNodeError
        If no or several studies begin so, the reason is empty, the code is unknown, or a result cannot be read back.
    """
    uid = find(db, study)
    if not reason.strip():
        raise DicomNodeError("reason: found none, needed one for those who have read the results")
    if code not in TITLES:
        raise DicomNodeError(f"code: found {code}, needed one of {', '.join(TITLES)}")
    rows = Retractions(db, files)
    with db.transaction():
        jobs, deliveries = rows.stop(uid)
    failpoint("retract.stopped")
    # Nothing waits any more, so what destinations have can only become less while the notices are written.
    held = rows.held(uid)
    made = [(one, _made(db, files, settings, one, reason, code)) for one in held]
    failpoint("retract.before_commit")
    with db.transaction():
        rows.stop(uid)
        if rows.mark(uid, f"{TITLES[code].meaning}: {reason}"):
            text = f"{TITLES[code].meaning}: {reason}; {sum(len(one.paths) for one in held)} objects at destinations"
            db.event(uid, "study", "", "retracted", text)
            for one, notices in made:
                Jobs(db, files).add_results(one.job_id, notices)
                peer = settings.peer(one.destination)
                Choice(db, files).owe(one.job_id, one.destination, peer, Occasion.WITHDRAWAL)
    failpoint("retract.after_commit")
    if not held:
        return f"study {uid}: nothing to take back; {jobs} jobs and {deliveries} deliveries cancelled"
    where = ", ".join(dict.fromkeys(one.destination for one in held))
    count = sum(len(one.paths) for one in held)
    return f"study {uid}: {count} objects are taken back from {where}; {jobs} jobs, {deliveries} deliveries cancelled"


def _made(db: Database, files: Files, settings: Settings, held: Held, reason: str, code: str) -> list[Made]:
    job = Jobs(db, files).load(held.job_id)
    assert job is not None
    rejected = [_header(path) for path in held.paths]
    outputs = withdrawn(settings, job, held.destination, rejected, reason, TITLES[code], db.clock(), held.report)
    return [
        keep_notice(files, job.study_instance_uid, output, Occasion.WITHDRAWAL, held.destination) for output in outputs
    ]


def _header(path: Path) -> Dataset:
    try:
        return dcmread(path, stop_before_pixels=True)
    except READ_FAULTS as error:
        raise DicomNodeError(f"result {path.name}: cannot be read back, {type(error).__name__}") from error
