"""Verbs of a node: set it up, check it, run it, show it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dicomnode import config, log
from dicomnode.cli.console import (
    ConfigOption,
    JsonOption,
    find_peer,
    fresh,
    load_settings,
    out,
    verbs,
    verdicts,
    write_json,
)

app = verbs("")


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("dicomnode.toml"),
    aet: Annotated[str, typer.Option(prompt="AE title of this node")] = "DICOMNODE",
    port: Annotated[int, typer.Option(prompt="Port to listen on")] = 11112,
    pacs_aet: Annotated[str, typer.Option(prompt="AE title of the PACS")] = "PACS",
    pacs_host: Annotated[str, typer.Option(prompt="Address of the PACS")] = "127.0.0.1",
    pacs_port: Annotated[int, typer.Option(prompt="Port of the PACS")] = 104,
    store: Annotated[Path, typer.Option(prompt="Folder for studies and results")] = Path("/var/lib/dicomnode"),
) -> None:
    """Write a commented configuration for one PACS."""
    from dicomnode.flow.first import write_configuration

    write_configuration(path, aet=aet, port=port, pacs=(pacs_aet, pacs_host, pacs_port), store=store)
    out.print(f"wrote {path}; next: dicomnode check --config {path}")


@app.command()
def check(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Test configuration, disk, models, port and peers; exit status 1 if anything fails."""
    from dicomnode.flow.preflight.checks import check as checks
    from dicomnode.flow.verdict import Verdict

    found = list(checks(load_settings(config_file)))
    write_json([asdict(one) for one in found]) if as_json else verdicts(found)
    raise typer.Exit(1 if any(one.verdict is Verdict.FAIL for one in found) else 0)


@app.command()
def run(
    config_file: ConfigOption = None,
    only: Annotated[str, typer.Option(help="receive, work or deliver; all of them when left out.")] = "",
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
) -> None:
    """Run the node until SIGTERM."""
    from dicomnode import node

    if only and only not in node.ROLES:
        raise typer.BadParameter(f"--only takes one of {', '.join(node.ROLES)}")
    path = config.find_file(config_file).resolve()
    settings = config.load(path)
    if child:
        node.run_child(settings, only)
        return
    raise typer.Exit(node.run(settings, path, [only] if only else node.ROLES))


@app.command()
def demo(
    study: Annotated[Path | None, typer.Option(help="Folder with a chest CT instead of the phantom.")] = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for everything that is made.")] = Path(
        "demo-output"
    ),
) -> None:
    """Make a phantom, start a node and a stand-in PACS on loopback, send, and show what comes back."""
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
    secret: Annotated[str, typer.Option("--passcode", prompt=True, hide_input=True, confirmation_prompt=True)],
) -> None:
    """Print the line of a user for the file that `users` of [tls] names; the passcode itself is not in it."""
    from dicomnode.receive.users import hashed

    sys.stdout.write(hashed(user, secret) + "\n")


@app.command()
def echo(peer: str, config_file: ConfigOption = None) -> None:
    """Ask a peer for C-ECHO."""
    from dicomnode.deliver import dimse

    settings = load_settings(config_file)
    seconds = dimse.echo(find_peer(settings, peer), calling_aet=settings.node.aet, timeouts=dimse.Timeouts())
    out.print(f"{peer} answers in {seconds * 1000:.0f} ms")
