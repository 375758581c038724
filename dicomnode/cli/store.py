"""Verbs on the files of the store: what is there, what may go, whether it is sound, and a copy of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dicomnode.cli.console import ConfigOption, JsonOption, load_settings, out, stages, store, verbs, write_json

app = verbs("The files of the store: list, remove, verify and back up.")


@app.command("list")
def list_studies(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Studies of which files are here, the oldest first: size, age, and what they owe.

    Example: dicomnode store list
    """
    from dicomnode.flow.storing.purge import listing
    from dicomnode.flow.storing.show import show_kept

    settings = load_settings(config_file)
    db, _ = store(settings)
    kept = listing(db, settings)
    write_json([asdict(one) for one in kept]) if as_json else show_kept(kept, db.clock(), out)


@app.command()
def purge(
    studies: Annotated[list[str] | None, typer.Argument(help="Study Instance UIDs, or how they begin.")] = None,
    older_than: Annotated[str, typer.Option(help="All without work for so long: 30d, 12h, 2w.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    even_if_owed: Annotated[str, typer.Option(help="Why also what is owed goes; stands in the study's story.")] = "",
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the files of finished studies; exit status 1 if one that was named stays.

    Example: dicomnode store purge --older-than 30d --dry-run
    """
    from dicomnode.flow.storing import purge as store_purge
    from dicomnode.flow.storing.show import show_purged

    if not studies and not older_than:
        raise typer.BadParameter("name studies, or --older-than")
    settings = load_settings(config_file)
    db, files = store(settings)
    done = store_purge.purge(
        db, files, settings, studies or [],
        older_than=store_purge.age(older_than) if older_than else None, reason=even_if_owed.strip(), dry_run=dry_run,
    )  # fmt: skip
    write_json([asdict(one) for one in done]) if as_json else show_purged(done, dry_run, out)
    named = [one for one in done if any(one.study_instance_uid.startswith(study) for study in studies or ())]
    raise typer.Exit(1 if any(one.refused for one in named) else 0)


@app.command()
def verify(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read every file again and compare it with its digest; exit status 1 if one is missing, changed or a stray.

    Example: dicomnode store verify
    """
    from dicomnode.flow.storing.show import show_verified
    from dicomnode.flow.storing.verify import verify as act

    db, files = store(load_settings(config_file))
    with stages() as tell:
        verified = act(db, files, tell)
    write_json(asdict(verified)) if as_json else show_verified(verified, out)
    raise typer.Exit(1 if verified.damaged else 0)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="Folder outside the store; a backup there is brought up to date.")],
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the store while the node runs; exit status 1 if a file was missing in the store.

    Example: dicomnode store backup /mnt/backup/dicomnode
    """
    from dicomnode.config.audit import folder_of
    from dicomnode.flow.storing.backup import backup as act
    from dicomnode.flow.storing.show import show_backed_up

    settings = load_settings(config_file)
    db, files = store(settings)
    with stages() as tell:
        done = act(db, files, folder, tell, folder_of(settings))
    write_json(asdict(done)) if as_json else show_backed_up(done, folder, out)
    raise typer.Exit(1 if done.missing else 0)
