"""Verbs on results as a whole: whom a recall concerns, what readers complain of, whether a model drifts."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import Annotated

import typer

from dicomnode.cli.console import ConfigOption, JsonOption, StudyArgument, load_settings, out, store, verbs, write_json

app = verbs("What was found, and where it went.")
plain = verbs("")


@app.command("list")
def list_results(
    model: Annotated[str, typer.Option(help="Name of the model; else of any.")] = "",
    version: Annotated[str, typer.Option(help="Version of its bundle; else of any.")] = "",
    since: Annotated[str, typer.Option(help="A day (2026-11-21), or how long ago (24h, 7d).")] = "",
    until: Annotated[str, typer.Option(help="As --since; what comes from then on is left out.")] = "",
    scanner: Annotated[str, typer.Option(help="A part of manufacturer, model or station.")] = "",
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the studies with results of a model, and where these went: for a recall.

    Example: dicomnode results list --model lung-ct --version 1.0.0 --since 2026-11-01
    """
    from dicomnode.flow.shown.lately import show_affected
    from dicomnode.flow.span import moment
    from dicomnode.store.affected import affected

    db = store(load_settings(config_file))[0]
    begin, end = (moment(text, db.clock(), f"--{key}") if text else None
                  for key, text in (("since", since), ("until", until)))  # fmt: skip
    found = affected(db, model=model, version=version, scanner=scanner, since=begin, until=end)
    write_json([asdict(one) for one in found]) if as_json else show_affected(found, out)


@plain.command()
def flag(
    study: StudyArgument,
    reason: Annotated[str, typer.Option(help="What is wrong with the results, in words.")],
    by: Annotated[str, typer.Option(help="Who says so; else the user of this machine.")] = "",
    config_file: ConfigOption = None,
) -> None:
    """Record that a reader complains of the results of a study.

    Example: dicomnode flag 1.2.840.1 --reason "outlines the stomach as lung" --by "Dr Weber"
    """
    from dicomnode.flow.audited.trail import tell_act
    from dicomnode.flow.flag import flag as act

    settings = load_settings(config_file)
    db, _ = store(settings)
    tell_act(db, settings, study, f"flag: {reason}")
    out.print(act(db, study, reason, by or getpass.getuser()), markup=False, highlight=False, soft_wrap=True)


@plain.command()
def drift(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Compare what every model lately did on the images of each scanner with what it did before.

    Exit status 1 where something has changed.

    Example: dicomnode drift --json
    """
    from dicomnode.flow.drift import drifts
    from dicomnode.flow.shown.lately import show_drift
    from dicomnode.store.flags import Flags

    settings = load_settings(config_file)
    db, _ = store(settings)
    found, complaints = drifts(db, settings.drift, least=1), Flags(db).by_model()
    if as_json:
        write_json({"compared": [asdict(one) for one in found], "flagged": [asdict(one) for one in complaints]})
    else:
        show_drift(found, complaints, out)
    raise typer.Exit(1 if any(one.changes for one in found) else 0)
