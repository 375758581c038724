"""Decides what an object with other encoded pixels under a known SOP Instance UID means for its study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from dicomnode.flow.sameness import changes
from dicomnode.store.database import Database
from dicomnode.store.studies import Standing, Studies, Variant

_log = structlog.get_logger(__name__)


class Variants:
    """Weighs variants.

    Parameters
    ----------
    counted
        Keywords whose change makes a newcomer replace the current object.
    same_pixels
        Decodes two files and compares their pixels, outside the listener's process; None for not now. Its OSError is of
        the disk, and is left to the caller, who tries again.
    """

    def __init__(
        self, db: Database, studies: Studies, counted: Sequence[str], same_pixels: Callable[[Path, Path], bool | None]
    ) -> None:
        self._db = db
        self._studies = studies
        self._counted = counted
        self._same_pixels = same_pixels

    def weigh(self, variant: Variant) -> bool:
        """Decide what an object with other encoded pixels under a known UID means."""
        same = self._same_pixels(variant.current.path, variant.newcomer.path)
        if same is None:
            return False
        if not same:
            return self.conflict(variant)
        changed = changes(variant.current.header, variant.newcomer.header, self._counted)
        with self._db.transaction():
            if not changed or not variant.newer:
                self._studies.rank(variant.instance_id, Standing.REPLACED if changed else Standing.EQUAL)
            else:
                self._studies.promote(variant.instance_id)
                study = str(variant.current.header.first("StudyInstanceUID"))
                self._studies.reopen(study, f"changed: {', '.join(changed)}", forced=False)
        return True

    def conflict(self, variant: Variant) -> bool:
        """Hold the study: two objects with different pixels, or that cannot be compared, share a UID."""
        uid = variant.newcomer.sop_instance_uid
        study = str(variant.current.header.first("StudyInstanceUID"))
        with self._db.transaction():
            self._studies.rank(variant.instance_id, Standing.CONFLICTING)
            self._studies.hold(study, f"object {uid} came twice with different pixels; both are kept")
        _log.error("study held: different pixels under one UID", study_instance_uid=study, sop_instance_uid=uid)
        return True
