"""Every file that rows say is here, with its digest, for who compares, copies or looks for strays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs
from dicomnode.store.removals import Removals
from dicomnode.store.scratch import Scratch
from dicomnode.store.studies import Studies

#: Rows are read in pages, since a store has millions and others write meanwhile.
_PAGE = 1000


class Holding(StrEnum):
    """What a file is to the node."""

    INPUT = "object"
    RESULT = "result"
    PRIOR = "prior"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One file; its digest is of the data set alone, but of a result of the whole file."""

    holding: Holding
    study_instance_uid: str
    path: str
    digest: str
    size_bytes: int


_PAGES = {
    Holding.INPUT: "SELECT instance_id AS id, study_instance_uid, path, digest, size_bytes FROM instance"
    " WHERE instance_id > ? AND purged_at = '' ORDER BY instance_id LIMIT ?",
    Holding.RESULT: "SELECT result_id AS id, study_instance_uid, path, digest, size_bytes"
    " FROM result JOIN job USING (job_id) WHERE result_id > ? AND purged_at = '' ORDER BY result_id LIMIT ?",
    Holding.PRIOR: "SELECT object_id AS id, study_instance_uid, path, digest, size_bytes FROM prior_object"
    " WHERE object_id > ? ORDER BY object_id LIMIT ?",
}


class Holdings:
    """Reads the rows of files; writes nothing."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files
        self._removals = Removals(db, files)

    def store(self) -> str:
        """Which store this is; that of a copy is the same."""
        row = self._db.row("SELECT identity FROM store")
        assert row is not None
        return str(row["identity"])

    def count(self) -> int:
        """How many files are said to be here."""
        row = self._db.row(
            "SELECT (SELECT COUNT(*) FROM instance WHERE purged_at = '') + (SELECT COUNT(*) FROM prior_object)"
            " + (SELECT COUNT(*) FROM result WHERE purged_at = '')"
        )
        return int(row[0]) if row else 0

    def all(self) -> Iterator[Held]:
        """Every file, as the rows are when they are come to."""
        for holding, sql in _PAGES.items():
            last = 0
            while rows := self._db.rows(sql, last, _PAGE):
                for row in rows:
                    last = row["id"]
                    yield Held(
                        holding=holding,
                        study_instance_uid=row["study_instance_uid"],
                        path=row["path"],
                        digest=row["digest"],
                        size_bytes=row["size_bytes"],
                    )

    def still(self, held: Held) -> bool:
        """Whether a row says even now that the file is here."""
        return held.path in self._named(held.path.split("/")[0], held.study_instance_uid)

    def expected(self, kind: str, study_instance_uid: str) -> set[str]:
        """The files of a study below one of the store's folders, with those that are still to be removed.

        The rows are read first: what is given up meanwhile then stands in one of the two.
        """
        named = self._named(kind, study_instance_uid)
        return named | self._removals.below(f"{kind}/{study_instance_uid}")

    def strays(self, before: float) -> Iterator[str]:
        """Files without a row that have not changed since `before` (POSIX time), but for those about to be removed."""
        for folder, paths in groupby(self._files.lying(), key=lambda path: path.parent):
            parts = folder.relative_to(self._files.folder).parts
            expected = self.expected(*parts) if len(parts) == 2 else set()
            for path in paths:
                name = str(path.relative_to(self._files.folder))
                if name not in expected and path.exists() and path.stat().st_mtime < before:
                    yield name

    def _named(self, kind: str, study_instance_uid: str) -> set[str]:
        """The files of a study below one of the store's folders that rows say are here."""
        if kind == "studies":
            return Studies(self._db, self._files).files(study_instance_uid)
        if kind == "priors":
            return Scratch(self._db, self._files).files(study_instance_uid)
        return Jobs(self._db, self._files).files(study_instance_uid)
