"""Verbs on model bundles: list, show, verify, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dicomnode import config
from dicomnode.cli import importing, models_evaluate
from dicomnode.cli.console import err, load_model, out, verbs, verdicts

app = verbs("List, show, verify and import model bundles.")
app.add_typer(importing.app, name="import")
app.registered_commands += models_evaluate.app.registered_commands


@app.command("list")
def models_list(folder: Annotated[Path | None, typer.Option(help="Folder of bundles.")] = None) -> None:
    """Every bundle, and what is wrong with those that cannot be used."""
    from dicomnode.infer.bundle.load import find_bundles

    bundles, broken = find_bundles(folder or config.shipped("models"))
    table = Table("name", "version", "status", "title", box=None, pad_edge=False)
    for name, spec in bundles.items():
        table.add_row(*map(escape, (name, spec.version, str(spec.status), spec.title)))
    out.print(table)
    for name, error in broken.items():
        out.print(f"[red]broken[/] {escape(f'{name}: {error}')}", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if broken else 0)


@app.command("show")
def models_show(name: str, folder: Annotated[Path | None, typer.Option(help="Folder of bundles.")] = None) -> None:
    """What a bundle declares, and its card."""
    from dicomnode.flow.preflight_models import CARD, card

    spec = load_model(folder or config.shipped("models"), name)
    declared = (spec.folder / "model.toml").read_text(encoding="utf-8")
    for text in (declared, card(spec) or f"no {CARD}"):
        out.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command("verify")
def models_verify(
    name: Annotated[str, typer.Argument(help="A bundle; every bundle when left out.")] = "",
    folder: Annotated[Path | None, typer.Option(help="Folder of bundles.")] = None,
) -> None:
    """Check hash and card of bundles and load their networks; exit status 1 if anything is not as declared."""
    from dicomnode.flow.preflight_models import verified
    from dicomnode.flow.verdict import Verdict

    found = list(verified(folder or config.shipped("models"), name))
    failed = [one for one in found if one.verdict is Verdict.FAIL]
    verdicts([one for one in found if one not in failed])
    verdicts(failed, err)
    raise typer.Exit(1 if failed else 0)
