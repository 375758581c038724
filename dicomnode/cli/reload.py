"""The verb that has a running node take another configuration."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dicomnode import config
from dicomnode.cli.console import ConfigOption, JsonOption, out, verbs, write_json

app = verbs("")


@app.command()
def reload(
    config_file: ConfigOption = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A process (receive, work, deliver, web); all when left out.")
    ] = None,
    as_json: JsonOption = False,
    judge: Annotated[bool, typer.Option("--judge", hidden=True)] = False,
) -> None:
    """Have the running node take its configuration anew, if it is valid, and say what changed.

    Example: dicomnode reload --config /etc/dicomnode/dicomnode.toml
    """
    from dicomnode import node
    from dicomnode.flow.reload.ask import reload as ask

    path = config.find_file(config_file).resolve()
    text = node.text_of(path)
    settings = config.load_text(text, path)
    if judge:
        from dicomnode.flow.reload.judge import unusable

        write_json({"faults": [asdict(fault) for fault in unusable(settings)]})
        return
    if unknown := set(only or ()) - set(node.ROLES):
        raise typer.BadParameter(f"no process {', '.join(sorted(unknown))}; known: {', '.join(node.ROLES)}")
    taken = ask(settings.store.folder, only or node.ROLES, text, path)
    lines = [*(taken.changes or ("nothing has changed",)), *taken.remarks]
    write_json(asdict(taken)) if as_json else out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
