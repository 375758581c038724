"""Takes back what was sent of a study: a rejection note, or a report and picture marked WITHDRAWN."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset, dcmread

from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.work import Job, Occasion
from dicomnode.flow.choice import Choice
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.identified import identified, identity_of
from dicomnode.flow.keep import keep_notice
from dicomnode.flow.notices import withdrawn
from dicomnode.flow.operate import find
from dicomnode.infer.read.faults import READ_FAULTS
from dicomnode.report.rejection import TITLES
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs, Made
from dicomnode.store.retractions import Held, Retractions, Sent


def retract(db: Database, files: Files, settings: Settings, study: str, reason: str, code: str) -> str:
    """Take back every result of a study that was sent, wherever it was sent, and cancel what was not; in words.

    What says so goes through the outbox like every result. Doing it again does nothing new, but for results of later
    analyses. What settles later, such as a study that is receiving, is not analysed again until somebody asks for it.

    Parameters
    ----------
    reason
        Why, in words for those who have read the results.
    code
        One of `report.rejection.TITLES`.

    Raises
    ------
    DicomNodeError
        If no or several studies begin so, the reason is empty, the code is unknown, or nothing tells whose the results
        are.
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
            text = f"{TITLES[code].meaning}: {reason}; {sum(len(one.objects) for one in held)} objects at destinations"
            db.event(uid, "study", "", "retracted", text)
            for one, notices in made:
                Jobs(db, files).add_results(one.job_id, notices)
                peer = settings.peer(one.destination)
                Choice(db, files).owe(one.job_id, one.destination, peer, Occasion.WITHDRAWAL)
    failpoint("retract.after_commit")
    later = _later(rows, uid)
    if not held:
        return f"study {uid}: nothing to take back; {jobs} jobs and {deliveries} deliveries cancelled{later}"
    where = ", ".join(dict.fromkeys(one.destination for one in held))
    text = f"{sum(len(one.objects) for one in held)} objects are taken back from {where}"
    return f"study {uid}: {text}; {jobs} jobs, {deliveries} deliveries cancelled{later}"


def _later(rows: Retractions, study_instance_uid: str) -> str:
    """What becomes of a study that has not settled yet."""
    if not rows.receiving(study_instance_uid):
        return ""
    return (
        "; the study is receiving: when it settles, what was analysed before is not analysed again, and its readers are"
        " told so (`dicomnode rerun` analyses it); what never was is analysed"
    )


def _made(db: Database, files: Files, settings: Settings, held: Held, reason: str, code: str) -> list[Made]:
    job = Jobs(db, files).load(held.job_id)
    assert job is not None
    rejected = _headers(db, files, job, held.objects)
    outputs = withdrawn(settings, job, held.destination, rejected, reason, TITLES[code], db.clock(), held.report)
    return [
        keep_notice(files, job.study_instance_uid, output, Occasion.WITHDRAWAL, held.destination) for output in outputs
    ]


def _headers(db: Database, files: Files, job: Job, objects: Sequence[Sent]) -> list[Dataset]:
    """Headers of what is taken back, those of its files first; of what cannot be read, as the books name it."""
    read = {one.sop_instance_uid: _header(one) for one in objects}
    headers = [header for header in read.values() if header is not None]
    lost = [one for one in objects if read[one.sop_instance_uid] is None]
    if lost:
        known = headers[0] if headers else identified(db, files, job)[0]
        headers += [_named(one, known) for one in lost]
    return headers


def _header(sent: Sent) -> Dataset | None:
    try:
        header = dcmread(sent.path, stop_before_pixels=True)
        return header if header.SOPInstanceUID == sent.sop_instance_uid else None
    except READ_FAULTS:
        return None


def _named(sent: Sent, known: Dataset) -> Dataset:
    header = identity_of(known)
    header.SOPClassUID, header.SOPInstanceUID = sent.sop_class_uid, sent.sop_instance_uid
    header.SeriesInstanceUID = sent.series_instance_uid
    header.InstanceCreationDate, header.InstanceCreationTime = f"{sent.made_at:%Y%m%d}", f"{sent.made_at:%H%M%S}"
    return header
