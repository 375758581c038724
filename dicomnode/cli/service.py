"""Verbs of a node: set it up, check it, run it, show it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dicomnode import config, log
from dicomnode.cli.console import (
    ConfigOption,
    find_peer,
    fresh,
    load_settings,
    out,
    verbs,
)

app = verbs("")


@app.command()
def run(
    config_file: ConfigOption = None,
    only: Annotated[str, typer.Option(help="receive, work, deliver or web; all of them when left out.")] = "",
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
) -> None:
    """Run the node until SIGTERM.

    Example: dicomnode run --config /etc/dicomnode/dicomnode.toml
    """
    from dicomnode import node

    if only and only not in node.ROLES:
        raise typer.BadParameter(f"--only takes one of {', '.join(node.ROLES)}")
    path = config.find_file(config_file).resolve()
    text = node.text_of(path)
    settings = config.load_text(text, path)
    if child:
        node.run_child(settings, only)
        return
    raise typer.Exit(node.run(settings, path, [only] if only else node.roles_of(settings), text))


@app.command()
def demo(
    study: Annotated[Path | None, typer.Option(help="Folder with a chest CT instead of the phantom.")] = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for everything that is made.")] = Path(
        "demo-output"
    ),
) -> None:
    """Make a phantom, start a node and a stand-in PACS on loopback, send, and show what comes back.

    Example: dicomnode demo --study ~/chest-ct
    """
    from dicomnode.flow.demo import demonstrate
    from dicomnode.flow.show import show_returned

    log.configure("warning", "text", "demo")
    folder = fresh(out_folder)
    with out.status("starting a node, sending a study, waiting for results …"):
        returned = demonstrate(folder, study)
    show_returned(returned, out)


@app.command()
def passcode(
    user: Annotated[str, typer.Argument(help="User that a peer names when it calls.")],
    secret: Annotated[
        str,
        typer.Option(
            "--passcode", prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when left out."
        ),
    ],
) -> None:
    """Print the line of a user for the file that `users` of [tls] names; the passcode itself is not in it.

    Example: dicomnode passcode ct1 >> /etc/dicomnode/users
    """
    from dicomnode.receive.users import hashed

    sys.stdout.write(hashed(user, secret) + "\n")


@app.command()
def echo(peer: str, config_file: ConfigOption = None) -> None:
    """Ask a peer for C-ECHO.

    Example: dicomnode echo PACS
    """
    from dicomnode.deliver import dimse

    settings = load_settings(config_file)
    seconds = dimse.echo(find_peer(settings, peer), calling_aet=settings.node.aet, timeouts=dimse.Timeouts())
    out.print(f"{peer} answers in {seconds * 1000:.0f} ms")
