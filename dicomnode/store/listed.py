"""Studies as lists show them: where each stands on the whole, searched and page by page."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Final

from dicomnode.domain.header import Header
from dicomnode.store.database import Database

#: Where a study stands on the whole, what wants an eye first; nothing is told of work that was replaced.
STANDINGS: Final = (
    "held", "failed", "running", "waiting", "receiving", "withdrawn", "done", "nothing to do",
)  # fmt: skip

_STANDING = """CASE
 WHEN held <> '' THEN 'held'
 WHEN EXISTS (SELECT 1 FROM job WHERE job.study_instance_uid = study.study_instance_uid AND job.state = 'failed'
   AND superseded = 0 AND retracted = '') THEN 'failed'
 WHEN EXISTS (SELECT 1 FROM delivery JOIN job USING (job_id)
   WHERE delivery.study_instance_uid = study.study_instance_uid
   AND delivery.state = 'failed' AND superseded = 0 AND retracted = '') THEN 'failed'
 WHEN EXISTS (SELECT 1 FROM job WHERE job.study_instance_uid = study.study_instance_uid AND job.state = 'running')
   THEN 'running'
 WHEN EXISTS (SELECT 1 FROM delivery WHERE delivery.study_instance_uid = study.study_instance_uid
   AND delivery.state = 'running') THEN 'running'
 WHEN study.state = 'receiving' THEN 'receiving'
 WHEN EXISTS (SELECT 1 FROM job WHERE job.study_instance_uid = study.study_instance_uid AND job.state = 'waiting')
   THEN 'waiting'
 WHEN EXISTS (SELECT 1 FROM delivery WHERE delivery.study_instance_uid = study.study_instance_uid
   AND delivery.state = 'waiting') THEN 'waiting'
 WHEN EXISTS (SELECT 1 FROM job WHERE job.study_instance_uid = study.study_instance_uid AND retracted <> '')
   AND NOT EXISTS (SELECT 1 FROM job WHERE job.study_instance_uid = study.study_instance_uid AND retracted = ''
   AND superseded = 0 AND job.state = 'done') THEN 'withdrawn'
 WHEN EXISTS (SELECT 1 FROM job WHERE job.study_instance_uid = study.study_instance_uid AND job.state = 'done')
   THEN 'done'
 ELSE 'nothing to do' END"""

#: Patient's Name and Patient ID of a series as DICOM JSON (PS3.18 F.2) has them; a name has up to three groups.
_NAME = "json_extract(header, '$.\"00100010\".Value[0]')"
_ID = "json_extract(header, '$.\"00100020\".Value[0]')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is searched for; what is empty does not count.

    Attributes
    ----------
    uid
        How the Study Instance UID begins.
    since, until
        When the last object came, as the database writes times; `until` is not included.
    standing
        One of `STANDINGS`.
    patient
        Parts of the name in any order and in whichever of its groups, or how the ID begins; neither case nor
        accents count.
    """

    uid: str = ""
    since: str = ""
    until: str = ""
    standing: str = ""
    patient: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One study; who the patient is stands apart, for those who may see it."""

    study_instance_uid: str
    state: str
    standing: str
    reason: str
    held: str
    peer: str
    calling_aet: str
    called_aet: str
    first_arrival_at: str
    last_arrival_at: str
    objects: int
    modalities: tuple[str, ...]
    study_date: str
    description: str = field(repr=False)
    patient_name: str = field(repr=False)
    patient_id: str = field(repr=False)
    accession_number: str = field(repr=False)
    birth_date: str = field(repr=False)
    sex: str = field(repr=False)


class Listing:
    """Reads the rows of studies for people."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def studies(self, wanted: Wanted, *, offset: int = 0, limit: int = 50) -> tuple[list[Listed], bool]:
        """The studies searched for, the newest first, and whether there are more."""
        patients = json.dumps(self._of_patient(wanted.patient)) if wanted.patient else ""
        rows = self._db.rows(
            f"SELECT study_instance_uid AS uid, {_STANDING} AS standing FROM study"  # noqa: S608 - words of ours
            " WHERE (:uid = '' OR substr(study_instance_uid, 1, length(:uid)) = :uid)"
            " AND (:since = '' OR last_arrival_at >= :since) AND (:until = '' OR last_arrival_at < :until)"
            " AND (:patients = '' OR study_instance_uid IN (SELECT value FROM json_each(:patients)))"
            f" AND (:standing = '' OR {_STANDING} = :standing)"
            " ORDER BY last_arrival_at DESC, study_instance_uid LIMIT :limit OFFSET :offset",
            uid=wanted.uid, since=wanted.since, until=wanted.until, standing=wanted.standing,
            patients=patients, limit=limit + 1, offset=offset,
        )  # fmt: skip
        return [self._listed(row["uid"], row["standing"]) for row in rows[:limit]], len(rows) > limit

    def study(self, study_instance_uid: str) -> Listed | None:
        """One study."""
        row = self._db.row(
            f"SELECT {_STANDING} AS standing FROM study WHERE study_instance_uid = ?",  # noqa: S608 - words of ours
            study_instance_uid,
        )
        return self._listed(study_instance_uid, row["standing"]) if row else None

    def _of_patient(self, wanted: str) -> list[str]:
        """Study Instance UIDs of whoever is searched for; SQLite would know the case of ASCII letters alone."""
        begins, parts = _folded(wanted.strip()), _parts(wanted)
        found: dict[str, None] = {}
        for uid, name, patient_id in self._db.rows(
            f"SELECT study_instance_uid, {_NAME}, {_ID} FROM series ORDER BY rowid"  # noqa: S608 - words of ours
        ):
            named = _folded(" ".join(map(str, json.loads(name).values()))) if name else ""
            if (begins and _folded(str(patient_id or "")).startswith(begins)) or (
                parts and all(part in named for part in parts)
            ):
                found[uid] = None
        return list(found)

    def _listed(self, uid: str, standing: str) -> Listed:
        row = self._db.row("SELECT * FROM study WHERE study_instance_uid = ?", uid)
        assert row is not None
        found = self._db.rows("SELECT header FROM series WHERE study_instance_uid = ? ORDER BY rowid", uid)
        headers = [Header.of(json.loads(one["header"])) for one in found] or [Header.of({})]
        counted = self._db.row(
            "SELECT COUNT(*) AS objects FROM instance WHERE study_instance_uid = ? AND standing = 'current'", uid
        )
        first = headers[0]
        return Listed(
            study_instance_uid=uid,
            state=row["state"],
            standing=standing,
            reason=row["reason"],
            held=row["held"],
            peer=row["peer"],
            calling_aet=row["calling_aet"],
            called_aet=row["called_aet"],
            first_arrival_at=row["first_arrival_at"],
            last_arrival_at=row["last_arrival_at"],
            objects=counted["objects"] if counted else 0,
            modalities=tuple(dict.fromkeys(filter(None, (_text(one, "Modality") for one in headers)))),
            study_date=_text(first, "StudyDate"),
            description=_text(first, "StudyDescription"),
            patient_name=_text(first, "PatientName"),
            patient_id=_text(first, "PatientID"),
            accession_number=_text(first, "AccessionNumber"),
            birth_date=_text(first, "PatientBirthDate"),
            sex=_text(first, "PatientSex"),
        )


def _parts(name: str) -> list[str]:
    """What a name that somebody typed consists of; carets stand between the components of a PN (PS3.5 6.2.1)."""
    return [_folded(part) for part in re.split(r"[\s,^=]+", name) if part]


def _folded(text: str) -> str:
    """A text without case and accents."""
    return "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))


def _text(header: Header, keyword: str) -> str:
    value: Any = header.first(keyword, "")
    return str(value or "")
