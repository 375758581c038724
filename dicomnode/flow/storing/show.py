"""Lays out for a terminal what the store holds and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dicomnode.domain.retention import Freed, Kept
from dicomnode.flow.storing.backup import BackedUp
from dicomnode.flow.storing.purge import Purged
from dicomnode.flow.storing.verify import Verified

_MIB = 1 << 20


def show_kept(studies: Sequence[Kept], now: datetime, out: Console) -> None:
    """A line for each study, and what all take together."""
    table = Table("study", "state", "objects", "results", "MiB", "days", "owes", box=None, pad_edge=False)
    for one in studies:
        owes = ", ".join(one.owes)
        table.add_row(
            Text(one.study_instance_uid), one.state, str(one.objects), str(one.results),
            f"{one.size_bytes / _MIB:.1f}", f"{age_days(one, now):.1f}", Text(owes),
        )  # fmt: skip
    out.print(table if studies else "no files of any study are here")
    owing = sum(bool(one.owes) for one in studies)
    size = sum(one.size_bytes for one in studies) / _MIB
    out.print(f"{len(studies)} studies, {size:.1f} MiB; {owing} of them owe something", highlight=False)


def age_days(kept: Kept, now: datetime) -> float:
    """Days since the last work on a study."""
    return (now - max(filter(None, (kept.inputs_since, kept.results_since)))).total_seconds() / 86_400


def show_purged(purged: Iterable[Purged], dry_run: bool, out: Console) -> None:
    """A line for each study, and the sum."""
    done, freed = ("would be removed" if dry_run else "removed"), Freed()
    for one in purged:
        text = f"kept: {one.refused}" if one.refused else f"{one.freed.words} {done}"
        out.print(f"study {one.study_instance_uid}: {text}", markup=False, highlight=False, soft_wrap=True)
        freed += one.freed
    out.print(f"{freed.words} {done}", highlight=False)


def show_verified(verified: Verified, out: Console) -> None:
    """A line for each file that is not as it should be, and how many were read."""
    for one in verified.damaged:
        out.print(f"{one.damage} {one.path}: {one.remedy}", markup=False, highlight=False, soft_wrap=True)
    size = verified.size_bytes / _MIB
    text = f"{verified.files} files, {size:.1f} MiB read again; {len(verified.damaged)} are not as they should be"
    out.print(text, highlight=False)


def show_backed_up(done: BackedUp, target: object, out: Console) -> None:
    """What a backup did."""
    text = f"backup {target}: {done.copied} files are new, {done.had} were there, {done.dropped} are no longer needed"
    out.print(text, markup=False, highlight=False, soft_wrap=True)
    if done.missing:
        out.print(f"{done.missing} files are missing in the store itself: dicomnode store verify", highlight=False)
