"""Writes a first configuration that runs as it stands and says what each line is for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicomnode.config import load, parse, shipped
from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.flow.first_rules import first_rule
from dicomnode.infer.bundle.load import find_bundles

_TEMPLATE = """\
# dicomnode: first configuration. Every key there is, with its default and reason: {reference}
# `dicomnode check` tests what this file names.

[node]
aet = {aet}                # peers call this node by this name
port = {port}

[store]
folder = {store}           # a local disk

[models]
folder = {models}
{further}
[[peer]]                   # who may send, and who may be sent to
name = "PACS"
aet = {pacs_aet}
host = {pacs_host}
port = {pacs_port}
role = "archive"           # archive, modality or router
accept_research = true     # every result is for research until a rule says use = "clinical"; without this line the
                           # PACS gets none of them

# A scanner that sends straight to this node; its results go to the PACS.
# [[peer]]
# name = "CT1"
# aet = "CT1"
# host = "10.0.0.21"
# port = 104
# role = "modality"
# results_to = "PACS"

{rules}"""

_TLS = """
[tls]                      # docs/security.md
port = {port}
certificate = {certificate}
key = {key}
ca = {ca}                  # who vouches for callers and peers
"""

_WEB = """
[web]                      # the dashboard, for this machine alone: put a proxy before it, or name a certificate
port = {port}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """The port for TLS and its files."""

    port: int
    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What else a first configuration shall have."""

    models: Sequence[str] = field(default=("lung-ct",))
    tls: Secured | None = None
    web_port: int = 0


_PLAIN = Wishes()


def refused(table: str, key: str, value: Any) -> str:
    """What is wrong with one value of the configuration, as the configuration itself would say; "" if nothing."""
    try:
        if table == "peer":
            peer = {"name": "PACS", "aet": "A", "host": "h", "port": 104, key: value}
            parse({"peer": [peer]})
        else:
            parse({table: {key: value}})
    except ConfigError as error:
        # Faults of other keys are no answer to this one.
        return next((one.remedy for one in error.faults if one.key.endswith(f".{key}")), "")
    return ""


def shipped_models() -> list[str]:
    """Names of the models that come with the program."""
    return sorted(find_bundles(shipped("models"))[0])


def write_configuration(
    path: Path, *, aet: str, port: int, pacs: tuple[str, str, int], store: Path, wishes: Wishes = _PLAIN
) -> None:
    """Write the file; it is loaded once, so that what was answered is known to be usable.

    Raises
    ------
    ConfigError
        If the file exists already, or an answer cannot be used; nothing is left behind then.
    """
    if path.exists():
        raise ConfigError([Fault(key="path", value=str(path), remedy="there is a file already; it is not replaced")])
    bundles, _broken = find_bundles(shipped("models"))
    strange = [name for name in wishes.models if name not in bundles]
    if strange:
        remedy = f"no such model is shipped; there are {', '.join(sorted(bundles))}"
        raise ConfigError([Fault(key="models", value=", ".join(strange), remedy=remedy)])
    text = _TEMPLATE.format(
        reference=shipped("config") / "dicomnode.toml",
        aet=json.dumps(aet),
        port=port,
        store=json.dumps(str(store)),
        models=json.dumps(str(shipped("models"))),
        further=_further(wishes),
        pacs_aet=json.dumps(pacs[0]),
        pacs_host=json.dumps(pacs[1]),
        pacs_port=pacs[2],
        rules="\n".join(first_rule(bundles[name]) for name in wishes.models),
    )
    path.parent.mkdir(exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    try:
        load(path)
    except ConfigError:
        path.unlink()
        raise


def _further(wishes: Wishes) -> str:
    tls = ""
    if wishes.tls is not None:
        files = {name: json.dumps(str(getattr(wishes.tls, name).resolve())) for name in ("certificate", "key", "ca")}
        tls = _TLS.format(port=wishes.tls.port, **files)
    return tls + (_WEB.format(port=wishes.web_port) if wishes.web_port else "")
