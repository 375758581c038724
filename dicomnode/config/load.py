"""From a TOML file to settings, or to every fault in it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dicomnode.config.agree import cross_faults, port_faults
from dicomnode.config.alerts import alert_faults, notify_tables
from dicomnode.config.audit import audit_faults, audit_located
from dicomnode.config.commitment import commitment_faults
from dicomnode.config.faults import suggest, validated
from dicomnode.config.retention import retention_faults
from dicomnode.config.secure import of_peers, tls_faults, tls_located
from dicomnode.config.shadow import shadow_faults
from dicomnode.config.stow import stow_faults, stow_located, stow_of
from dicomnode.config.tables import AUTO, OUTPUTS, Models, PeerTable, RuleTable, Settings, Store
from dicomnode.config.web import web_faults, web_located
from dicomnode.domain.condition import ASSOCIATION_KEYS, parse_conditions
from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.domain.network import Peer, Tls
from dicomnode.domain.prior import PriorWish
from dicomnode.domain.retention import KeepDays
from dicomnode.domain.rule import Condition, Rule

#: Where the file is looked for when no `--config` says so; the first that exists.
SEARCH = (Path("dicomnode.toml"), Path("/etc/dicomnode/dicomnode.toml"))

_TABLES = tuple(name for name in Settings.model_fields if name not in ("peers", "rules", "notify"))


def find_file(given: Path | None) -> Path:
    """The configuration file: as given, from `DICOMNODE_CONFIG`, or the first of `SEARCH`."""
    if given is None and "DICOMNODE_CONFIG" in os.environ:
        given = Path(os.environ["DICOMNODE_CONFIG"])
    if given is not None:
        if not given.is_file():
            raise ConfigError([Fault(key="--config", value=str(given), remedy="there is no such file")])
        return given
    for candidate in SEARCH:
        if candidate.is_file():
            return candidate
    looked = ", ".join(str(path) for path in SEARCH)
    raise ConfigError(
        [Fault(key="--config", value=None, remedy=f"no configuration found ({looked}); `dicomnode init` writes one")]
    )


def load(path: Path) -> Settings:
    """Settings from a TOML file; relative folders are relative to the file.

    Raises
    ------
    ConfigError
        With every fault found.
    """
    return load_text(text_of(path), path)


def text_of(path: Path) -> str:
    """What the file says at this moment."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([Fault(key=str(path), value="", remedy=f"not TOML: {error}")]) from error


def load_text(text: str, path: Path) -> Settings:
    """Settings from what a file says, or has said, or may say some day; see `load`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Fault(key=str(path), value="", remedy=f"not TOML: {error}")]) from error
    settings = parse(document)
    base = path.resolve().parent
    return settings.model_copy(
        update={
            "store": Store(folder=base / settings.store.folder),
            "models": Models(folder=base / settings.models.folder),
            "tls": tls_located(settings.tls, base),
            "deidentify": settings.deidentify.below(base),
            "audit": audit_located(settings.audit, base),
            "web": web_located(settings.web, base),
            "heartbeat": settings.heartbeat.below(base),
            "notify": tuple(one.below(base) for one in settings.notify),
            "peers": stow_located(
                of_peers(settings.peers, tls_located(settings.tls, base)), tls_located(settings.tls, base), base
            ),
        }
    )


def parse(document: Mapping[str, Any]) -> Settings:
    """Settings from a parsed document; see `load`."""
    faults: list[Fault] = []
    known = (*_TABLES, "peer", "rule", "notify")
    for key in document:
        if key not in known:
            faults.append(Fault(key=key, value="…", remedy=suggest(key, known)))
    tables: dict[str, Any] = {}
    for name in _TABLES:
        table = validated(Settings.model_fields[name].annotation, document.get(name, {}), name, faults)
        if table is not None:
            tables[name] = table
    peers = tuple(
        peer for number, table in enumerate(_list(document, "peer", faults)) if (peer := _peer(table, number, faults))
    )
    rules = tuple(
        rule for number, table in enumerate(_list(document, "rule", faults)) if (rule := _rule(table, number, faults))
    )
    notify = notify_tables(document, faults)
    faults += cross_faults(peers, rules, _named(document.get("peer")) - {peer.name for peer in peers})
    faults += port_faults(tables, peers)
    faults += alert_faults(notify, tables.get("heartbeat"), rules)
    faults += tls_faults(tables.get("tls"), peers)
    faults += audit_faults(tables.get("audit"), tables.get("tls"))
    faults += web_faults(tables.get("web"))
    faults += commitment_faults(peers)
    faults += shadow_faults(rules)
    faults += retention_faults(tables.get("retention"), peers)
    faults += stow_faults(tables.get("stow"), tables.get("tls"), tables.get("retention"), peers, rules)
    if faults:
        raise ConfigError(faults)
    return Settings(**tables, peers=peers, rules=rules, notify=notify)


def _list(document: Mapping[str, Any], key: str, faults: list[Fault]) -> list[Any]:
    found = document.get(key, [])
    if isinstance(found, list):
        return found
    faults.append(Fault(key=key, value="…", remedy=f"write [[{key}]] with two brackets, once for each"))
    return []


def _peer(table: Any, number: int, faults: list[Fault]) -> Peer | None:
    where = f"peer[{number}]"
    read = validated(PeerTable, table, where, faults)
    if read is None:
        return None
    outputs = () if read.outputs == AUTO else read.outputs
    _check_kinds(outputs, where, faults)
    fields = read.model_dump(exclude={"stow_authorization"})
    return Peer(**{**fields, "outputs": outputs, "tls": Tls() if read.tls else None, "stow": stow_of(read)})


def _check_kinds(outputs: tuple[str, ...], where: str, faults: list[Fault]) -> None:
    for output in outputs:
        if output not in OUTPUTS:
            remedy = suggest(output, OUTPUTS, "no such kind of output")
            faults.append(Fault(key=f"{where}.outputs", value=output, remedy=remedy))


def _rule(table: Any, number: int, faults: list[Fault]) -> Rule | None:
    where = f"rule[{number}]"
    read = validated(RuleTable, table, where, faults)
    if read is None:
        _check_unread(table, where, faults)
        return None
    _check_kinds(read.outputs, where, faults)
    study = _conditions(read.study, f"{where}.study", faults, ASSOCIATION_KEYS)
    series = _conditions(read.series, f"{where}.series", faults)
    inputs = {name: _conditions(table, f"{where}.inputs.{name}", faults) for name, table in read.inputs.items()}
    if not (read.study or read.series or any(read.inputs.values())):
        remedy = "name at least one condition in [rule.series] or [rule.inputs.<name>]"
        faults.append(Fault(key=where, value=read.name, remedy=remedy))
    fields = read.model_dump(exclude={"study", "series", "inputs", "priors", "keep_days"})
    wish = PriorWish(**read.priors.model_dump()) if read.priors else None
    keep = KeepDays(**read.keep_days.model_dump()) if read.keep_days else KeepDays()
    computed = "radiomics" in read.outputs
    return Rule(**fields, study=study, series=series, inputs=inputs, radiomics=computed, priors=wish, keep_days=keep)


def _check_unread(table: Any, where: str, faults: list[Fault]) -> None:
    """Find what else is wrong with a rule that could not be read, so that one edit mends it all."""
    if not isinstance(table, dict):
        return
    outputs = table.get("outputs")
    _check_kinds(tuple(str(one) for one in outputs) if isinstance(outputs, list) else (), where, faults)
    for name, extra in (("study", ASSOCIATION_KEYS), ("series", frozenset[str]())):
        if isinstance(table.get(name), dict):
            _conditions(table[name], f"{where}.{name}", faults, extra)


def _named(tables: Any) -> frozenset[str]:
    """The names that entries give themselves, whatever else is wrong with them."""
    found = tables if isinstance(tables, list) else []
    return frozenset(str(one["name"]) for one in found if isinstance(one, dict) and "name" in one)


def _conditions(
    table: Mapping[str, Any], where: str, faults: list[Fault], extra: frozenset[str] = frozenset()
) -> tuple[Condition, ...]:
    try:
        return parse_conditions(table, where, extra=extra)
    except ConfigError as error:
        faults += error.faults
        return ()
