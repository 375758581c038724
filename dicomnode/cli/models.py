"""Verbs on model bundles: list, show, verify, import, and those of `models_evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from dicomnode import config
from dicomnode.cli import importing, models_evaluate
from dicomnode.cli.console import (
    ConfigOption,
    JsonOption,
    bundles,
    configured,
    err,
    load_model,
    out,
    verbs,
    verdicts,
    write_json,
)

app = verbs("List, show, verify, import, evaluate, accept and disable model bundles.")
app.add_typer(importing.app, name="import")
app.registered_commands += models_evaluate.app.registered_commands

FolderOption = Annotated[Path | None, typer.Option(help="Folder of bundles.")]
#: As many columns as a terminal of 80 has room for; device and seconds only where networks were loaded.
_LISTED = ("name", "version", "status", "inputs", "files", "accepted", "device", "warm")

WarmOption = Annotated[bool, typer.Option("--warm", help="Load the networks: device and seconds.")]


@app.command("list")
def models_list(
    folder: FolderOption = None, config_file: ConfigOption = None, warm: WarmOption = False, as_json: JsonOption = False
) -> None:
    """Every bundle: inputs, files, who accepted it; exit status 1 if one is unusable. `show` and --json tell more.

    Example: dicomnode models list --warm
    """
    from dicomnode.flow.models.installed import installed

    with _site(folder, config_file, warm=warm) as (place, db, sessions):
        found, broken = installed(place, db, sessions)
    status = 1 if broken or not all(one.intact for one in found) else 0
    if as_json:
        wrong = {name: str(error) for name, error in broken.items()}
        write_json({"models": [asdict(one) for one in found], "broken": wrong})
        raise typer.Exit(status)
    shown = [name for name in _LISTED if any(getattr(one, name) for one in found)]
    table = Table(*(Column(name, overflow="fold") for name in shown), box=None, pad_edge=False)
    for one in found:
        table.add_row(*(escape(getattr(one, name)) for name in shown))
    out.print(table)
    for name, error in broken.items():
        out.print(f"[red]broken[/] {escape(f'{name}: {error}')}", highlight=False, soft_wrap=True)
    raise typer.Exit(status)


@app.command("show")
def models_show(name: str, folder: FolderOption = None, config_file: ConfigOption = None) -> None:
    """What a bundle declares, its card, and what this site has made of it.

    Example: dicomnode models show lung-ct
    """
    from dicomnode.flow.models.card import CARD, card
    from dicomnode.flow.models.installed import described

    with _site(folder, config_file, warm=True) as (place, db, sessions):
        spec = load_model(place, name)
        told = asdict(described(spec, db, sessions))
    declared = (spec.folder / "model.toml").read_text(encoding="utf-8")
    lines = "\n".join(f"{key}: {value}" for key, value in told.items() if value)
    for text in (lines, declared, card(spec) or f"no {CARD}"):
        out.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command("verify")
def models_verify(
    name: Annotated[str, typer.Argument(help="A bundle; every bundle when left out.")] = "",
    folder: FolderOption = None,
    config_file: ConfigOption = None,
) -> None:
    """Check hash and card of bundles and load their networks; exit status 1 if anything is not as declared.

    Example: dicomnode models verify lung-ct
    """
    from dicomnode.flow.preflight.models import verified
    from dicomnode.flow.verdict import Verdict

    place = bundles(folder, config_file)
    found = list(verified(place, name))
    failed = [one for one in found if one.verdict is Verdict.FAIL]
    verdicts([one for one in found if one not in failed])
    verdicts(failed, err)
    _print_sheets(place, name)
    raise typer.Exit(1 if failed else 0)


def _print_sheets(folder: Path, name: str) -> None:
    """The sheet of the Radiomics Quality Score of every signature."""
    from dicomnode.flow.models.card import card
    from dicomnode.flow.models.rqs import rqs_sheet
    from dicomnode.infer.bundle.load import find_bundles

    for one, spec in find_bundles(folder)[0].items():
        if spec.signature is None or name not in ("", one):
            continue
        rows, total = rqs_sheet(card(spec))
        table = Table("", f"{one}: Radiomics Quality Score", "range", "points", box=None, pad_edge=False)
        for number, criterion, limits, points in rows:
            table.add_row(str(number), criterion, limits, points or "not stated")
        out.print(table)
        out.print(f"{total}; a card states points as `RQS 5: 3`", markup=False, highlight=False)


@contextmanager
def _site(folder: Path | None, config_file: Path | None, *, warm: bool) -> Iterator[tuple[Path, Any, Any]]:
    """Folder of bundles, the node's database where one is configured, and what loads networks where that is wanted."""
    from dicomnode.flow.models.standing import known_here
    from dicomnode.infer.network.session import Sessions

    settings = configured(folder, config_file)
    sessions = Sessions(device=settings.work.device if settings else "auto") if warm else None
    if settings is None:
        yield folder or config.shipped("models"), None, sessions
        return
    with known_here(settings) as db:
        yield folder or settings.models.folder, db, sessions
