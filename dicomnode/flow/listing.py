"""Lays out sentences beside what they are about, so that they can be read on a narrow terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

#: How a verdict is coloured, in words of `check` and of the quality gate.
_COLOURS = {"ok": "green", "passed": "green", "warn": "yellow", "fail": "red", "block": "red"}


def listed(rows: Iterable[tuple[str, str]]) -> Table:
    """One line for each (verdict, sentence), further lines indented.

    What peers, files and operators wrote is shown as it is, whatever brackets it has.
    """
    table = Table.grid(padding=(0, 1))
    for verdict, sentence in rows:
        table.add_row(Text(verdict, style=_COLOURS.get(verdict, "")), Text(sentence))
    return table
