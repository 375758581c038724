"""What the verbs share: consoles, options, settings and store, and how errors and progress are told."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from dicomnode import config
from dicomnode.domain.errors import ConfigError, DicomNodeError

out = Console()
err = Console(stderr=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
StudyArgument = Annotated[str, typer.Argument(help="Study Instance UID, or how it begins.")]
PathsArgument = Annotated[list[Path], typer.Argument(help="Files or folders.", exists=True)]
ModelsOption = Annotated[Path | None, typer.Option("--models", help="Folder of bundles.")]


def verbs(about: str) -> typer.Typer:
    """An empty group of verbs with the manners of this command."""
    return typer.Typer(help=about, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")


def load_settings(config_file: Path | None) -> config.Settings:
    """The configuration that this verb works with."""
    return config.load(config.find_file(config_file))


def store(settings: config.Settings) -> Any:
    """Database and files of the node."""
    from dicomnode.node import open_store

    return open_store(settings)


def find_peer(settings: config.Settings, name: str) -> Any:
    """The peer of that name."""
    peer = settings.peer(name)
    if peer is None:
        raise typer.BadParameter(f"no peer named {name}; known: {', '.join(one.name for one in settings.peers)}")
    return peer


def configured(folder: Path | None, config_file: Path | None) -> Any:
    """The settings that were named, or that are found; None where a folder was named instead, or none are there."""
    if config_file is None:
        if folder is not None:
            return None
        try:
            config.find_file(None)
        except ConfigError:
            return None
    return load_settings(config_file)


def bundles(folder: Path | None, config_file: Path | None = None) -> Path:
    """The folder of bundles that was named, else that of the configuration, else the shipped one."""
    settings = configured(folder, config_file)
    if folder is not None:
        return folder
    return Path(settings.models.folder) if settings else config.shipped("models")


def load_model(folder: Path, name: str) -> Any:
    """The bundle of that name."""
    from dicomnode.infer.bundle.load import load_bundle

    return load_bundle(folder / name)


def json_wanted() -> bool:
    """Whether the command line asks for JSON, also where it is too wrong to be read."""
    return "--json" in sys.argv


@contextmanager
def analysing(as_json: bool) -> Iterator[None]:
    """Tells why there is nothing to analyse; of faults of a bundle people are told by `main`."""
    from dicomnode.flow.outcome_json import error_as_json

    try:
        yield
    except DicomNodeError as error:
        faulty = isinstance(error, ConfigError)
        if as_json:
            write_json({"analysed": False, **error_as_json(error)})
        elif faulty:
            raise
        else:
            err.print(f"[red]not analysed:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(2 if faulty else 1) from None


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr for every stage that is told of."""
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage)
            bar.update(tasks[stage], completed=done, total=total)

        yield tell


def fresh(folder: Path) -> Path:
    """The folder, or a numbered one beside it when it was used before."""
    number = 1
    candidate = folder
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def write_json(value: Any) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def verdicts(found: Iterable[Any], to: Console = out) -> None:
    """One line for each check, with its remedy."""
    from dicomnode.flow.listing import listed

    lines = ((one.verdict, f"{one.subject}: {' → '.join(filter(None, (one.found, one.remedy)))}") for one in found)
    to.print(listed(lines), highlight=False)
