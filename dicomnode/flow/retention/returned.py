"""Judges a study of which only a part came back after its objects had been removed to make room."""

from __future__ import annotations

from dataclasses import replace

from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.plan import Considered
from dicomnode.store.database import Database
from dicomnode.store.jobs import Plan
from dicomnode.store.returned import returned, wait_no_more


def of_what_is_here(
    db: Database, study_instance_uid: str, planned: tuple[list[Plan], list[Considered]], *, forced: bool
) -> tuple[list[Plan], list[Considered]]:
    """The plans of a study that is here whole; else none, or what tells the reader of new objects that others lack.

    A part that was analysed before with the rest is no reason to analyse it alone, and to replace what was found then.
    """
    back = returned(db, study_instance_uid)
    if not back.missing:
        return planned
    plans, considered = planned
    text = f"{back.missing} objects of the study were removed to make room and are not back; {back.here} are here"
    if not back.new and not forced:
        return [], [("all rules", f"{text}, and none of them is new")]
    why = f"{text}: send the whole study again"
    return [replace(plan, refusal=plan.refusal or why) for plan in plans], [*considered, ("all rules", why)]


def require_objects(db: Database, study_instance_uid: str) -> None:
    """Refuse what needs the objects of a study that were removed.

    Raises
    ------
    DicomNodeError
        Some are not here.
    """
    back = returned(db, study_instance_uid)
    if back.missing:
        raise DicomNodeError(
            f"study {study_instance_uid}: {back.missing} of its objects were removed to make room, {back.here} are"
            " here; send it again, to an AE title of `on_demand` for a new run, or say with --of-what-is-here why the"
            " rest does not come"
        )


def without_the_rest(db: Database, study_instance_uid: str, why: str) -> None:
    """Wait no more for objects that were removed; every result from now on says that they are lacking.

    Expects to be called inside `Database.transaction`.

    Raises
    ------
    DicomNodeError
        None is here.
    """
    back = returned(db, study_instance_uid)
    if not back.here:
        raise DicomNodeError(f"study {study_instance_uid}: none of its objects is here; send it again")
    if back.missing:
        wait_no_more(db, study_instance_uid, why)
        text = f"{back.missing} objects that were removed to make room, {back.here} are here: {why}"
        db.event(study_instance_uid, "study", "", "waits no more for", text)


def lacking(db: Database, study_instance_uid: str) -> str:
    """What a result of the study says about objects that an operator waits for no more; "" where none is."""
    back = returned(db, study_instance_uid)
    if not back.given_up:
        return ""
    return f"; INCOMPLETE, {back.given_up} more objects were removed to make room and did not come back: {back.why}"
