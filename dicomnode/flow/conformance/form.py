"""Chapters with paragraphs and tables, and how they are written as Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: Deepest heading of Markdown.
_DEEPEST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under named columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A numbered part of the statement: paragraphs, then tables, then chapters below it."""

    title: str
    text: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    chapters: tuple[Chapter, ...] = ()


def markdown(chapter: Chapter, number: str = "") -> str:
    """The chapter and all below it; the outermost has no number."""
    return "\n".join(_lines(chapter, number)) + "\n"


def as_json(chapter: Chapter, number: str = "") -> dict[str, Any]:
    """The same for scripts: each row of a table with the names of its columns."""
    below = ((one, _number(number, at)) for at, one in enumerate(chapter.chapters, start=1))
    return {
        "number": number,
        "title": chapter.title,
        "text": list(chapter.text),
        "tables": [
            {"title": one.title, "rows": [dict(zip(one.columns, row, strict=True)) for row in one.rows]}
            for one in chapter.tables
        ],
        "chapters": [as_json(one, its) for one, its in below],
    }


def tables(chapter: Chapter) -> Iterator[Table]:
    """Every table of a chapter and of all below it."""
    yield from chapter.tables
    for one in chapter.chapters:
        yield from tables(one)


def _lines(chapter: Chapter, number: str) -> Iterator[str]:
    depth = min(number.count(".") + 2, _DEEPEST) if number else 1
    yield f"{'#' * depth} {number} {chapter.title}".replace("  ", " ")
    for paragraph in chapter.text:
        yield f"\n{paragraph}"
    for table in chapter.tables:
        yield f"\n**{table.title}**\n"
        yield _row(table.columns)
        yield "|" + "---|" * len(table.columns)
        for row in table.rows:
            yield _row(row)
    for at, one in enumerate(chapter.chapters, start=1):
        yield ""
        yield from _lines(one, _number(number, at))


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _number(above: str, at: int) -> str:
    return f"{above}.{at}" if above else str(at)
