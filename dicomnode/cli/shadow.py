"""Verbs on what is tried in shadow: rules that only say what they would do, and candidates for a model's place."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dicomnode.cli.console import ConfigOption, JsonOption, load_settings, out, store, verbs, write_json

app = verbs("Rules and models that are tried in the shadow of those that count.")

RuleOption = Annotated[str, typer.Option("--rule", help="Only of this rule.")]
SinceOption = Annotated[str, typer.Option("--since", help="An age such as 24h or 7d, or a day such as 2026-11-20.")]


@app.command("list")
def list_(
    rule: RuleOption = "", since: SinceOption = "", config_file: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """What rules with shadow = true would have run.

    Example: dicomnode shadow list --rule chest-ct-new --since 7d
    """
    from dicomnode.flow.shadow.show import show_matches
    from dicomnode.flow.shadow.since import since_text
    from dicomnode.store.shadow_matches import shadow_matches

    db, _files = store(load_settings(config_file))
    found = shadow_matches(db, rule=rule, since=since_text(since, db.clock()))
    write_json([asdict(one) for one in found]) if as_json else show_matches(found, out)


@app.command()
def show(
    rule: RuleOption = "", since: SinceOption = "", config_file: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """How the answers of candidates (shadow_model of a rule) differ from those of the models that count.

    Example: dicomnode shadow show --rule chest-ct
    """
    from dicomnode.flow.shadow.show import show_tried
    from dicomnode.flow.shadow.since import since_text
    from dicomnode.flow.shadow.summary import summed_up
    from dicomnode.store.shadow import Shadows

    db, _files = store(load_settings(config_file))
    found = summed_up(Shadows(db).compared(rule=rule, since=since_text(since, db.clock())))
    write_json([asdict(one) for one in found]) if as_json else show_tried(found, out)
