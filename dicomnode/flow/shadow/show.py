"""Prints what was tried in shadow."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicomnode.flow.shadow.summary import Summary, Tried
from dicomnode.store.shadow_matches import ShadowMatch


def show_matches(found: Sequence[ShadowMatch], out: Console) -> None:
    """One line for each thing that a rule in shadow would have done."""
    for one in found:
        text = f"{one.at[:19]}Z  [bold]{escape(one.rule)}[/]  {one.study_instance_uid}  {escape(one.text)}"
        out.print(text, highlight=False, soft_wrap=True)
    if not found:
        out.print("no rule in shadow has matched anything", highlight=False)


def show_tried(found: Sequence[Tried], out: Console) -> None:
    """A table for each rule and candidate."""
    for one in found:
        seconds = f"{_number(one.model_seconds)} s and {_number(one.candidate_seconds)} s"
        title = f"rule {one.rule}: {one.candidate} {', '.join(one.versions)} beside {one.model}"
        table = Table(title=escape(title), title_justify="left", caption_justify="left")
        table.caption = f"{one.done} compared, {one.failed} failed; median time {seconds}"
        for name in ("figure", "of", "n", "median", "bias", "limits of agreement", "unit"):
            table.add_column(name, overflow="fold")
        for row in one.figures:
            table.add_row(*_cells(row))
        out.print(table)
        for reason in one.reasons:
            out.print(f"failed: {escape(reason)}", highlight=False, soft_wrap=True)
    if not found:
        out.print("no candidate has been tried", highlight=False)


def _cells(row: Summary) -> tuple[str, ...]:
    limits = f"{_number(row.low)} … {_number(row.high)}" if row.low is not None else "–"
    unit = "" if row.unit == "1" else row.unit
    return (row.figure, escape(row.subject), str(row.n), _number(row.median), _number(row.bias), limits, escape(unit))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
