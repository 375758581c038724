"""The journal of a cohort: one line for each case as soon as it is measured, so that a run can be continued."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.flow.cohort.case import FAILED, Row
from dicomnode.flow.cohort.cases import Case

_FORM = "dicomnode cohort 1"

Key = tuple[str, ...]


class Journal:
    """What has been measured for one table, in a file beside it.

    Parameters
    ----------
    table
        The table; the journal bears its name and `.journal`.
    digest
        Of the settings.

    Raises
    ------
    ConfigError
        If the journal is of other settings, or of another version of this software.
    """

    def __init__(self, table: Path, digest: str) -> None:
        self.path = table.with_name(f"{table.name}.journal")
        self._lines: dict[Key, tuple[list[str], str]] = {}
        self._done: set[Key] = set()
        head = json.dumps({"form": _FORM, "settings": digest})
        kept = [head, *self._read(head)]
        part = self.path.with_name(f"{self.path.name}.part")
        try:
            part.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
            part.replace(self.path)
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                [Fault(key="--out", value=table.name, remedy=f"cannot be written: {error.strerror}")]
            ) from error

    def _read(self, head: str) -> list[str]:
        """The lines of whole cases; a last one that was cut off is left out."""
        if not self.path.exists():
            return []
        # A process that was killed may have left half a character.
        first, *lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        if first != head:
            remedy = "holds cases with other settings or of another version; name another table, or remove both files"
            raise ConfigError([Fault(key="--out", value=self.path.name, remedy=remedy)])
        for line in lines:
            try:
                self._note(json.loads(line), line)
            except json.JSONDecodeError:
                continue
        return [line for _order, line in self._lines.values()]

    def _note(self, entry: dict[str, Any], line: str) -> None:
        key = tuple(entry["key"])
        self._lines[key] = (list(entry["order"]), line)
        # What failed may have been mended since, and costs little to try again.
        if all(row["status"] != FAILED for row in entry["rows"]):
            self._done.add(key)

    def holds(self, case: Case) -> bool:
        """Whether a case was measured already."""
        return case.key in self._done

    def add(self, case: Case, rows: Sequence[Row]) -> None:
        """Write down one case, durably enough for a process that is killed."""
        entry = {"key": case.key, "order": case.order, "rows": list(rows)}
        line = json.dumps(entry, ensure_ascii=False)
        self._note(entry, line)
        self._file.write(f"{line}\n")
        self._file.flush()

    def rows(self) -> Iterator[Row]:
        """All rows, by patient, study, series and contours."""
        for _order, line in sorted(self._lines.values()):
            yield from json.loads(line)["rows"]

    def of(self, case: Case) -> list[Row]:
        """The rows of one case; none where it was not measured yet."""
        _order, line = self._lines.get(case.key, ([], '{"rows": []}'))
        return list(json.loads(line)["rows"])

    def close(self) -> None:
        """Write no more."""
        self._file.close()


def pseudonym_key(table: Path) -> bytes:
    """The key of the pseudonyms of a table, made at its first run and readable for its owner alone.

    Raises
    ------
    ConfigError
        If it cannot be written or read.
    """
    path = table.with_name(f"{table.name}.key")
    try:
        if not path.exists():
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32) + "\n")
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        remedy = "the key of the pseudonyms cannot be written or read; needed 64 hexadecimal digits"
        raise ConfigError([Fault(key="--out", value=path.name, remedy=remedy)]) from error
