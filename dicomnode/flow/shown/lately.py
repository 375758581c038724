"""Lays out for a terminal which results are affected by a recall, and how models behave lately."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicomnode.flow.drift import Drifted
from dicomnode.store.affected import Affected
from dicomnode.store.flags import Complaints


def show_affected(found: Sequence[Affected], out: Console) -> None:
    """A line for each run, and below it where its objects are."""
    for one in found:
        model = f"{one.model} {one.version or 'of a version not noted'}"
        text = f"{one.ended_at[:16]}Z  {one.study_instance_uid}  {one.rule}: {model}"
        remarks = [one.scanner, f"run {one.run}", *(["not analysed"] if one.state == "failed" else [])]
        remarks += [f"taken back: {one.retracted}"] if one.retracted else []
        remarks += [f"{one.flags} complaints"] if one.flags else []
        out.print(f"{text}  ({', '.join(filter(None, remarks))})", markup=False, highlight=False, soft_wrap=True)
        for place in one.places:
            where = f"{place.destination}: {place.state} {place.at[:16]}Z" if place.destination else "owed to nobody"
            out.print(f"    {place.role} → {where}", markup=False, highlight=False, soft_wrap=True)
    studies = len({one.study_instance_uid for one in found})
    out.print(f"{studies} studies, {len(found)} runs", highlight=False)


def show_drift(found: Sequence[Drifted], complaints: Sequence[Complaints], out: Console) -> None:
    """A line for each model and scanner: now / before; then what has changed, and what readers complained of."""
    columns = ("model", "scanner", "runs", "not analysed %", "nothing found %", "findings", "median ml", "faults")
    table = Table(*columns, box=None, title="now / before", title_justify="left")
    for one in found:
        pairs = [
            _pair(getattr(one.last, name), getattr(one.before, name))
            for name in (
                "runs", "not_analysed_percent", "nothing_found_percent", "findings_mean", "volume_median_ml", "failed",
            )
        ]  # fmt: skip
        table.add_row(escape(one.origin.model), escape(str(one.origin.scanner)), *pairs)
    out.print(table if found else "no runs yet")
    for one in found:
        where = f"model {one.origin.model} on {one.origin.scanner}"
        if not one.compared:
            out.print(f"{where}: too few runs to compare", markup=False, highlight=False, soft_wrap=True)
        for change in one.changes:
            out.print(f"DRIFT {where}: {change.text}", markup=False, highlight=False, soft_wrap=True)
    for each in complaints:
        text = f"{each.studies} studies of model {each.model} {each.version}".rstrip() + " were flagged by readers"
        out.print(text, markup=False, highlight=False, soft_wrap=True)


def _pair(now: float | None, then: float | None) -> str:
    return " / ".join("–" if value is None else f"{value:.3g}" for value in (now, then))
