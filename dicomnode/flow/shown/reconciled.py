"""Lays out for a terminal which studies of an archive have no result."""

from __future__ import annotations

from rich.console import Console

from dicomnode.flow.reconcile.studies import Reconciled


def show_reconciled(found: Reconciled, out: Console) -> None:
    """A study in each line, below it what would help; then what was looked at."""
    for one in found.lacking:
        text = f"{one.study_at}  {one.study_instance_uid}  {one.rule}: {one.why}"
        if one.not_told:
            text += f" (not told by the archive: {', '.join(one.not_told)})"
        out.print(text, markup=False, highlight=False, soft_wrap=True)
        out.print(f"    {one.command}", markup=False, highlight=False, soft_wrap=True)
    span = f"{found.since.astimezone():%Y-%m-%d %H:%M} to {found.until.astimezone():%Y-%m-%d %H:%M}"
    text = (
        f"{found.peer}, {span}: {found.studies} studies, {found.matching} times a rule takes one as far as the archive"
        f" tells, {len(found.lacking)} without a result"
    )
    out.print(text, markup=False, highlight=False, soft_wrap=True)
    if found.unusable:
        text = f"left out, since their models cannot be read: rules {', '.join(found.unusable)}"
        out.print(text, markup=False, highlight=False, soft_wrap=True)
