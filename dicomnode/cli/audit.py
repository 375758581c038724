"""Verbs on the audit trail: whether it is whole, and what it says."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from dicomnode.cli.console import ConfigOption, JsonOption, err, load_settings, out, verbs, write_json

app = verbs("Who did what with whose studies: the audit trail.")


@app.command()
def verify(
    config_file: ConfigOption = None,
    first: Annotated[int, typer.Option(help="Its first line, when older files are kept elsewhere.", min=1)] = 1,
    as_json: JsonOption = False,
) -> None:
    """Tell whether a line was changed, removed, inserted or cut off since it was written.

    Example: dicomnode audit verify
    """
    from dicomnode.flow.audited.read import verified

    verdict = verified(load_settings(config_file), first)
    if as_json:
        write_json(verdict)
    else:
        for fault in verdict["faults"]:
            err.print(f"[red]broken:[/] {escape(fault)}", highlight=False, soft_wrap=True)
        lines = f"lines {verdict['first']} to {verdict['last']} in {verdict['files']} files"
        out.print(f"{lines}, last hash {verdict['hash']}", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if verdict["faults"] else 0)


@app.command()
def show(
    config_file: ConfigOption = None,
    last: Annotated[int, typer.Option(help="How many lines, counted from the end.", min=1)] = 20,
    study: Annotated[str, typer.Option(help="Only what is about this Study Instance UID.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Print the end of the trail, patients included; that somebody has read it is recorded.

    Example: dicomnode audit show
    """
    from dicomnode.flow.audited.read import shown

    found = shown(load_settings(config_file), last, study)
    if as_json:
        write_json(found)
        return
    for one in found:
        subjects = " ".join(one["objects"])
        text = f"{one['sequence']} {one['at']} {one['event']} {one['outcome']} {one['participants']} {subjects}"
        out.print(escape(f"{text} {one['reason']}".rstrip()), highlight=False, soft_wrap=True)
