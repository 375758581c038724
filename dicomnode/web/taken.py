"""Results as files: they name the patient, so that the audit trail is told who takes one."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import FileResponse

from dicomnode.flow.shown.taken import tell_taken
from dicomnode.store.moving import Movements
from dicomnode.web.access import Caller
from dicomnode.web.acting import participant
from dicomnode.web.desk import Opened, desk_of
from dicomnode.web.problem import declined, unknown


def taken(request: Request, caller: Caller, opened: Opened, study_uid: str, sop_instance_uid: str) -> FileResponse:
    """The file of one result.

    Raises
    ------
    Declined
        The caller may not see names, or there is none here.
    OutOfResources
        It cannot be recorded and has to be.
    """
    if not caller.sees_names:
        raise declined(403, "the caller", "may not see who the patients are", "an account that may")
    rows = Movements(opened.db).results(study_uid)
    found = next((one for one in rows if one.sop_instance_uid == sop_instance_uid and one.here), None)
    if found is None:
        raise unknown("the result")
    tell_taken(opened.db, desk_of(request).settings, study_uid, found.role, participant(request, caller.name))
    return FileResponse(
        opened.files.path(found.path), media_type="application/dicom", filename=f"{found.role}-{sop_instance_uid}.dcm"
    )
