"""The verb that sets a node up: it asks, writes a configuration, and says what to do next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from dicomnode import config
from dicomnode.cli.console import out, verbs

app = verbs("")

_File = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="PEM file.")]


def _usable(table: str, key: str) -> Callable[[Any], Any]:
    """Refuses at once what the configuration would refuse; on a terminal the question is asked again."""

    def answered(value: Any) -> Any:
        from dicomnode.flow.first import refused

        if value is not None and (why := refused(table, key, value)):
            raise typer.BadParameter(why)
        return value

    return answered


def _port(table: str) -> Callable[[int], int]:
    """A port that somebody else can call; what 0 means in the file is no answer here."""

    def answered(value: int) -> int:
        if not 1 <= value <= 65535:
            raise typer.BadParameter(f"{value}: write a port from 1 to 65535; DICOM nodes often take 11112 or 104")
        return int(_usable(table, "port")(value))

    return answered


def _fresh(path: Path) -> Path:
    """Asked before all questions, so that nobody answers them in vain."""
    if path.exists():
        raise typer.BadParameter(f"{path}: there is a file already; it is not replaced")
    return path


def _named(value: str) -> str:
    """Names of shipped models, by commas."""
    from dicomnode.flow.first import shipped_models

    known = shipped_models()
    if strange := [name for name in _names(value) if name not in known]:
        raise typer.BadParameter(f"{', '.join(strange)}: no such model is shipped; there are {', '.join(known)}")
    return value


def _names(value: str) -> list[str]:
    return [name for one in value.split(",") if (name := one.strip())]


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write.", callback=_fresh, is_eager=True)] = Path(
        "dicomnode.toml"
    ),
    aet: Annotated[
        str, typer.Option(prompt="AE title of this node", callback=_usable("node", "aet"), help="Of this node.")
    ] = "DICOMNODE",
    port: Annotated[
        int, typer.Option(prompt="Port to listen on", callback=_port("node"), help="Of this node.")
    ] = 11112,
    pacs_aet: Annotated[
        str, typer.Option(prompt="AE title of the PACS", callback=_usable("peer", "aet"), help="Of the PACS.")
    ] = "PACS",
    pacs_host: Annotated[
        str, typer.Option(prompt="Address of the PACS", callback=_usable("peer", "host"), help="Of the PACS.")
    ] = "127.0.0.1",
    pacs_port: Annotated[
        int, typer.Option(prompt="Port of the PACS", callback=_port("peer"), help="Of the PACS.")
    ] = 104,
    store: Annotated[Path, typer.Option(prompt="Folder for studies and results", help="On a local disk.")] = Path(
        "/var/lib/dicomnode"
    ),
    models: Annotated[
        str, typer.Option(prompt="Models to run, by commas", callback=_named, help="Each gets a rule.")
    ] = "lung-ct",
    tls_port: Annotated[int, typer.Option(help="Second port, for TLS; needs the three files.", min=0, max=65535)] = 0,
    certificate: _File = None,
    key: _File = None,
    ca: _File = None,
    web_port: Annotated[int, typer.Option(help="Port of the dashboard; 0: none.", min=0, max=65535)] = 11180,
) -> None:
    """Write a commented configuration, asking for what no option says; a file that is there is never replaced.

    Example: dicomnode init /etc/dicomnode/dicomnode.toml --pacs-aet PACS --pacs-host 10.0.0.5 --pacs-port 104
    """
    from dicomnode.flow.first import Secured, Wishes, write_configuration

    tls = None
    if tls_port or certificate or key or ca:
        if not (tls_port and certificate and key and ca):
            raise typer.BadParameter("TLS needs all of --tls-port, --certificate, --key and --ca")
        tls = Secured(port=tls_port, certificate=certificate, key=key, ca=ca)
    wishes = Wishes(models=_names(models), tls=tls, web_port=web_port)
    write_configuration(
        path, aet=aet, port=port, pacs=(pacs_aet, pacs_host, pacs_port), store=store, wishes=wishes
    )  # fmt: skip
    out.print(f"wrote {path}", highlight=False, soft_wrap=True)
    for number, step in enumerate(_next(path.resolve()), start=1):
        out.print(f"{number}. {step}", markup=False, highlight=False, soft_wrap=True)


def _next(path: Path) -> Iterator[str]:
    """What is to be done now, with the names and numbers of this node."""
    from dicomnode.flow.preflight.answers import our_address

    settings = config.load(path)
    node, pacs = settings.node, settings.peers[0]
    ports = " and ".join(str(one) for one in (node.port, settings.tls.port) if one)
    yield f"Firewall: let {pacs.host}, and every scanner that is to send here, through to TCP port {ports}."
    yield (
        f"In the PACS: enter this node with AE title {node.aet}, host {our_address(pacs)}, port {node.port}; let it"
        " store, and query if results are to be looked for."
    )
    yield f"dicomnode check --config {path}"
    where = config.shipped("systemd")
    yield (
        "Start: systemctl enable --now dicomnode.target (the units lie in"
        f" {where} and read /etc/dicomnode/dicomnode.toml), or: dicomnode run --config {path}"
    )
    yield f"dicomnode check --round-trip --config {path} sends a made study all the way."
    if settings.web.port:
        yield f"Dashboard: http://127.0.0.1:{settings.web.port}"
