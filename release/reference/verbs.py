"""The reference of the verbs, from the command itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from dicomnode.cli import app
from dicomnode.cli.ending import FAILED, INTERRUPTED, OUR_FAULT, USAGE


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb with the words that call it."""
    for name, one in sorted(getattr(command or get_command(app), "commands", {}).items()):
        if getattr(one, "commands", None):
            yield from commands(one, (*path, name))
        elif not one.hidden:
            yield (*path, name), one


def verbs() -> str:
    """The page."""
    lines = [
        "# Verbs",
        "",
        f"Exit status of every verb: 0 done, {FAILED} failed, {USAGE} wrong usage or configuration, {OUR_FAULT} a fault"
        f" of dicomnode itself, {INTERRUPTED} interrupted; `check` ends with 3 for warnings alone. `--debug` prints the"
        " traceback of a fault of dicomnode; it may name a patient. `--help` after any verb prints what stands here.",
    ]
    for path, verb in commands():
        lines += ["", f"## `dicomnode {' '.join(path)}`", ""]
        lines += _help(verb.help or "")
        rows = [_row(one) for one in verb.params if not getattr(one, "hidden", False) and one.name != "help"]
        if rows:
            lines += ["", "| option or argument | default | |", "|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _help(text: str) -> Iterator[str]:
    """Paragraphs, the examples as code."""
    for paragraph in text.strip().split("\n\n"):
        plain = " ".join(paragraph.split())
        example = re.fullmatch(r"Example: (.+)", plain)
        if example:
            yield from ("", "```", example[1], "```")
        else:
            yield from ("", plain)


def _row(one: Any) -> str:
    names = (
        ", ".join((*one.opts, *one.secondary_opts))
        if one.opts[0].startswith("-")
        else (one.metavar or one.name.upper())
    )
    default = one.default
    if one.required:
        told = "required"
    elif getattr(one, "is_flag", False) or default is None or callable(default) or default == [] or str(default) == "":
        told = ""
    else:
        told = f"`{default}`"
    text = " ".join((getattr(one, "help", None) or "").split())
    cells = (f"`{names}`", told, text)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
