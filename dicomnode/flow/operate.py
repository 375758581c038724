"""What an operator does to one study: retry, rerun, cancel."""

from __future__ import annotations

from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.retention.returned import require_objects, without_the_rest
from dicomnode.store.commitments import Commitments
from dicomnode.store.database import Database
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs
from dicomnode.store.pledges import Pledges
from dicomnode.store.priors import Searches
from dicomnode.store.returned import returned
from dicomnode.store.story import Story
from dicomnode.store.studies import Studies

#: So many of several studies are named.
_MOST_NAMED = 3


def retry(db: Database, files: Files, study: str) -> str:
    """Requeue failed jobs and deliveries, fetch cleaned priors again, and end a hold; in words what was done."""
    uid = find(db, study)
    with db.transaction():
        released = Studies(db, files).release(uid)
        gone = returned(db, uid).missing
        jobs = 0 if gone else Jobs(db, files).requeue(uid)
        deliveries = Deliveries(db, files).requeue(uid)
        searches = Searches(db, files).renew(uid) if jobs else 0
        asked = Commitments(db).renew(uid)
        told = Pledges(db).renew(uid)
    again = f", {searches} sources are asked again for earlier studies" if searches else ""
    held = "hold ended, " if released else ""
    if gone:
        held = f"{held}{gone} of its objects were removed to make room, so that jobs need them sent again; "
    again += f", {asked} confirmations are asked for again" if asked else ""
    again += f", {told} requests for commitment are answered again" if told else ""
    done = gone or jobs or deliveries or released or asked or told
    hint = "" if done else "; what was refused at settling runs again with `dicomnode rerun`"
    return f"study {uid}: {held}{jobs} jobs and {deliveries} deliveries wait again{again}{hint}"


def rerun(db: Database, files: Files, study: str, of_what_is_here: str = "") -> str:
    """Force a new run of every rule; in words what was done.

    Parameters
    ----------
    of_what_is_here
        Why objects that were removed to make room do not come back; empty: without them nothing runs.
    """
    uid = find(db, study)
    with db.transaction():
        if of_what_is_here:
            without_the_rest(db, uid, of_what_is_here)
        require_objects(db, uid)
        Studies(db, files).reopen(uid, "a new run was asked for by an operator", forced=True)
    return f"study {uid}: settles again, then every matching rule runs anew"


def cancel(db: Database, files: Files, study: str) -> str:
    """Cancel waiting jobs and deliveries, and look for no more priors; in words what was done."""
    uid = find(db, study)
    with db.transaction():
        jobs = Jobs(db, files).cancel(uid)
        deliveries = Deliveries(db, files).cancel(uid)
        searches = Searches(db, files).cancel(uid)
    also = f", {searches} searches for priors ended" if searches else ""
    return f"study {uid}: {jobs} jobs and {deliveries} deliveries cancelled{also}"


def find(db: Database, beginning: str) -> str:
    """The one study whose UID begins so.

    Raises
    ------
    DicomNodeError
        If there is none, or more than one.
    """
    found = Story(db).studies_like(beginning)
    if beginning in found:
        return beginning  # a whole UID may be the beginning of another
    if not found:
        raise DicomNodeError(
            f"no study here begins with {beginning!r}; `dicomnode store list` lists those whose files are here"
        )
    if len(found) > 1:
        named = ", ".join(found[:_MOST_NAMED])
        raise DicomNodeError(f"{len(found)} studies begin with {beginning!r}, give more of the UID: {named}")
    return found[0]
