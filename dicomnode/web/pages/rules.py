"""The rules, and what they would say to a file or a stored study."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response

from dicomnode.flow.asked.rules import rules_shown
from dicomnode.flow.asked.trial import Trial, try_file, try_study
from dicomnode.flow.operate import find
from dicomnode.web.access import Viewer
from dicomnode.web.acting import tell_seen
from dicomnode.web.desk import OpenStore, SettingsNow
from dicomnode.web.pages.drawing import page
from dicomnode.web.problem import declined, unknown

router = APIRouter(include_in_schema=False)

_PIECE = 1 << 20


@router.get("/rules")
def rules(request: Request, caller: Viewer, settings: SettingsNow) -> Response:
    """Every rule of the configuration, with a form to try them."""
    return page(request, "rules.html", caller, rules=rules_shown(settings), trial=None, tried="", study="")


@router.post("/rules")
def tried(
    request: Request,
    caller: Viewer,
    opened: OpenStore,
    settings: SettingsNow,
    study: Annotated[str, Form(pattern=r"^[0-9. ]{0,66}$")] = "",
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """What the rules say to a file that was dropped here, which is not kept, or to a study of the store."""
    if file is not None and file.filename:
        trial, about = _of_file(file, settings, sees_names=caller.sees_names), "the file"
    elif study.strip():
        uid = find(opened.db, study.strip())
        found = try_study(settings, opened.db, opened.files, uid, sees_names=caller.sees_names)
        if found is None:
            raise unknown(f"study {uid}")
        tell_seen(request, caller, opened, uid)
        trial, about = found, f"study {uid}"
    else:
        raise declined(422, "the form", "neither a file nor a study", "one of the two")
    return page(
        request, "rules.html", caller, rules=rules_shown(settings), trial=trial, tried=about, study=study.strip()
    )


def _of_file(file: UploadFile, settings: SettingsNow, *, sees_names: bool) -> Trial:
    with tempfile.NamedTemporaryFile(prefix="rules-", suffix=".dcm") as kept:
        while piece := file.file.read(_PIECE):
            kept.write(piece)
        kept.flush()
        return try_file(settings, Path(kept.name), sees_names=sees_names)
