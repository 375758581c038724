"""What must be true after a restart: nothing acknowledged is lost, and no result is missing or doubled."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread

from tests.acceptance.peers import REFUSAL, SEG, SR, data_set_of
from tests.acceptance.running import Node
from tests.torture.archives import Archive


@dataclass(slots=True)
class Findings:
    """What was counted, and what was wrong; without faults all is well."""

    studies: int = 0
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    results: int = 0
    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    repeated: int = 0
    other: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Every fault in words."""
        kinds = {"lost": self.lost, "missing": self.missing, "doubled": self.doubled, "wrong": self.other}
        return [f"{kind}: {what}" for kind, found in kinds.items() for what in found]


def audit(node: Node, archive: Archive, acknowledged: Mapping[str, set[Path]]) -> Findings:
    """Compare the books, the disk and the archive with what the senders were told.

    Parameters
    ----------
    acknowledged
        Files by study whose C-STORE was answered with Success.
    """
    found = Findings(studies=len(acknowledged), acknowledged=sum(map(len, acknowledged.values())))
    _inputs(node, acknowledged, found)
    _results(node, archive, acknowledged, found)
    _disk(node, found)
    return found


def _inputs(node: Node, acknowledged: Mapping[str, set[Path]], found: Findings) -> None:
    kept = dict(node.rows("SELECT sop_instance_uid, path FROM instance WHERE standing = 'current'"))
    for files in acknowledged.values():
        for path in files:
            uid = str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
            row = kept.get(uid)
            if row is None:
                found.lost.append(f"{uid}: no row")
            elif not (node.store / row).is_file():
                found.lost.append(f"{uid}: no file")
            elif not _same(path, node.store / row):
                found.lost.append(f"{uid}: other bytes")


def _same(sent: Path, kept: Path) -> bool:
    """Whether two files hold the same data set, byte for byte."""
    digests = {hashlib.sha256(data_set_of(path)).digest() for path in (sent, kept)}
    return len(digests) == 1


def _results(node: Node, archive: Archive, studies: Mapping[str, set[Path]], found: Findings) -> None:
    """One SEG and one SR of each study; the same object may be offered again under its UID with the same bytes."""
    held = archive.held()
    by_study = Counter((one.study, one.sop_class_uid) for one in held.values())
    found.results = len(held)
    found.repeated = sum(one.times - 1 for one in held.values())
    for study in studies:
        for kind in (SEG, SR):
            count = by_study[study, kind]
            if count == 0:
                found.missing.append(f"study {study}: no {kind}")
            elif count > 1:
                found.doubled.append(f"study {study}: {count} of {kind}")
        if by_study[study, REFUSAL]:
            found.other.append(f"study {study}: reported as not analysed")
    made = dict(node.rows("SELECT sop_instance_uid, path FROM result"))
    found.doubled += [f"{uid}: offered with other bytes" for uid, one in held.items() if not one.same]
    found.other += [f"{uid}: in the archive and not in the books" for uid in set(held) - set(made)]
    found.other += [
        f"{uid}: the archive has something else" for uid in set(held) & set(made)
        if dcmread(node.store / made[uid]) != held[uid].dataset
    ]  # fmt: skip
    found.other += [
        f"delivery of {uid} is {state}: {reason}"
        for uid, state, reason in node.rows("SELECT sop_instance_uid, state, reason FROM delivery")
        if state != "done"
    ]


def _disk(node: Node, found: Findings) -> None:
    named = {path for (path,) in node.rows("SELECT path FROM instance UNION SELECT path FROM result")}
    lying = {
        str(path.relative_to(node.store))
        for kind in ("studies", "results", "incoming", "notices")
        for path in (node.store / kind).rglob("*")
        if path.is_file()
    }
    found.other += [f"file that no row names: {path}" for path in sorted(lying - named)]
    found.other += [f"row without a file: {path}" for path in sorted(named - lying)]
    found.other += [f"database: {line}" for (line,) in node.rows("PRAGMA integrity_check") if line != "ok"]
    found.other += [f"log names the patient: {len(node.leaks())} lines"] if node.leaks() else []
