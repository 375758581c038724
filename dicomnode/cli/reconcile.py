"""The verb that holds an archive against what this node has sent."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dicomnode.cli.console import ConfigOption, JsonOption, find_peer, load_settings, out, store, verbs, write_json

app = verbs("")


@app.command()
def reconcile(
    peer: Annotated[str, typer.Argument(help="Name of an archive.")],
    since: Annotated[str, typer.Option(help="A day (2026-11-21), or how long ago (24h, 7d).")] = "24h",
    until: Annotated[str, typer.Option(help="As --since; else the end of today: clocks of scanners run ahead.")] = "",
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the studies of an archive that match a rule and have no result, with what would help.

    Exit status 1 where there are any.

    Example: dicomnode reconcile PACS --since 24h
    """
    from dicomnode.flow.reconcile.ask import asking
    from dicomnode.flow.reconcile.studies import reconcile as act
    from dicomnode.flow.shown.reconciled import show_reconciled
    from dicomnode.flow.span import end_of_day, moment

    settings = load_settings(config_file)
    db, _ = store(settings)
    archive, now = find_peer(settings, peer), db.clock()
    first, last = moment(since, now, "--since"), moment(until, now, "--until") if until else end_of_day(now)
    with asking(archive, settings) as catalogue:
        found = act(db, settings, archive, catalogue, first, last)
    write_json(asdict(found)) if as_json else show_reconciled(found, out)
    raise typer.Exit(1 if found.lacking else 0)
