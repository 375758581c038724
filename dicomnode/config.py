"""The configuration file as frozen settings; every fault is reported at once with key, value and remedy."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dicomnode.domain.condition import ASSOCIATION_KEYS, parse_conditions
from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.domain.network import Peer, PeerRole
from dicomnode.domain.rule import Condition, Rule
from dicomnode.domain.work import Backoff

#: Where the file is looked for when no `--config` says so; the first that exists.
SEARCH = (Path("dicomnode.toml"), Path("/etc/dicomnode/dicomnode.toml"))

#: Kinds of object that a rule may ask for and a peer may take; `radiomics` also switches the computation on.
OUTPUTS = ("seg", "labelmap", "sr", "radiomics", "rtstruct", "picture", "pdf")

#: What of the rule's kinds a peer gets is decided by what it accepts.
AUTO: Final = "auto"

_AET = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


def _application_entity(title: str) -> str:
    if not _AET.fullmatch(title) or not title.strip():
        raise ValueError("write 1 to 16 characters without backslash or control characters (PS3.5 AE)")
    return title.strip()


class Node(_Table):
    """`[node]`: what this node calls itself and where it listens."""

    aet: str = "DICOMNODE"
    also_called: tuple[str, ...] = ()
    on_demand: tuple[str, ...] = ()
    host: str = "0.0.0.0"  # noqa: S104 - a DICOM node listens on the hospital's network
    port: int = Field(default=11112, ge=0, le=65535)
    accept_unknown: bool = False
    maximum_associations: int = Field(default=25, ge=1)
    network_timeout_seconds: float = Field(default=60, gt=0)
    drain_seconds: float = Field(default=20, ge=0)

    @field_validator("aet")
    @classmethod
    def _one_title(cls, title: str) -> str:
        return _application_entity(title)

    @field_validator("also_called", "on_demand")
    @classmethod
    def _titles(cls, titles: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_application_entity(title) for title in titles)

    @property
    def called_aets(self) -> tuple[str, ...]:
        """Every AE title that this node answers to."""
        return tuple(dict.fromkeys((self.aet, *self.also_called, *self.on_demand)))


class Store(_Table):
    """`[store]`: where everything is kept."""

    folder: Path = Path("/var/lib/dicomnode")


class Models(_Table):
    """`[models]`: where the bundles lie."""

    folder: Path = Path("/usr/share/dicomnode/models")


class Completion(_Table):
    """`[completion]`: when a study has arrived."""

    quiet_seconds: float = Field(default=5, gt=0)
    long_quiet_seconds: float = Field(default=60, gt=0)
    give_up_seconds: float = Field(default=900, gt=0)
    max_study_age_days: int = Field(default=30, ge=0)


class Work(_Table):
    """`[work]`: how jobs are run."""

    max_attempts: int = Field(default=3, ge=1)
    lease_seconds: float = Field(default=60, ge=5)
    retry_seconds: float = Field(default=10, ge=0)
    threads: int = Field(default=0, ge=0)
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto"


class Deliver(_Table):
    """`[deliver]`: how results are sent."""

    first_retry_seconds: float = Field(default=5, gt=0)
    longest_retry_seconds: float = Field(default=900, gt=0)
    connect_timeout_seconds: float = Field(default=10, gt=0)
    response_timeout_seconds: float = Field(default=60, gt=0)

    @property
    def backoff(self) -> Backoff:
        """The waiting times between tries."""
        return Backoff(
            first=timedelta(seconds=self.first_retry_seconds), longest=timedelta(seconds=self.longest_retry_seconds)
        )


class Log(_Table):
    """`[log]`: what is written and how."""

    level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    format: str = Field(default="text", pattern="^(text|json)$")


class _PeerTable(_Table):
    name: str = Field(min_length=1)
    aet: str
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    role: PeerRole = PeerRole.ARCHIVE
    addresses: tuple[str, ...] = ()
    results_to: str = ""
    accept_results: bool = False
    outputs: Literal["auto"] | tuple[str, ...] = AUTO

    @field_validator("outputs")
    @classmethod
    def _some(cls, outputs: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not outputs:
            raise ValueError('name at least one kind, or write "auto"')
        return outputs

    @field_validator("aet")
    @classmethod
    def _title(cls, title: str) -> str:
        return _application_entity(title)

    @field_validator("addresses")
    @classmethod
    def _networks(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            ip_network(address, strict=False)
        return addresses


class _RuleTable(_Table):
    name: str = Field(pattern=r"^[\w.-]{1,64}$")
    model: str = Field(min_length=1)
    outputs: tuple[str, ...] = Field(default=("seg", "sr"), min_length=1)
    destinations: tuple[str, ...] = Field(default=("sender",), min_length=1)
    priority: int = 0
    enabled: bool = True
    study: dict[str, Any] = {}
    series: dict[str, Any] = {}
    inputs: dict[str, dict[str, Any]] = {}


class Settings(_Table):
    """All of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    node: Node = Node()
    store: Store = Store()
    models: Models = Models()
    completion: Completion = Completion()
    work: Work = Work()
    deliver: Deliver = Deliver()
    log: Log = Log()
    peers: tuple[Peer, ...] = ()
    rules: tuple[Rule, ...] = ()

    def peer(self, name: str) -> Peer | None:
        """The peer of that name."""
        return next((peer for peer in self.peers if peer.name == name), None)


def shipped(name: str) -> Path:
    """A folder or file that comes with the program (`models`, `config`): beside the source, or where pip put it."""
    beside = Path(__file__).resolve().parents[1] / name
    return beside if beside.exists() else Path(sys.prefix) / "share" / "dicomnode" / name


_TABLES = ("node", "store", "models", "completion", "work", "deliver", "log")


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
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Fault(key=str(path), value="", remedy=f"not TOML: {error}")]) from error
    settings = parse(document)
    base = path.resolve().parent
    return settings.model_copy(
        update={
            "store": Store(folder=base / settings.store.folder),
            "models": Models(folder=base / settings.models.folder),
        }
    )


def parse(document: Mapping[str, Any]) -> Settings:
    """Settings from a parsed document; see `load`."""
    faults: list[Fault] = []
    known = (*_TABLES, "peer", "rule")
    for key in document:
        if key not in known:
            faults.append(Fault(key=key, value="…", remedy=_suggest(key, known)))
    tables: dict[str, Any] = {}
    for name in _TABLES:
        table = _validated(Settings.model_fields[name].annotation, document.get(name, {}), name, faults)
        if table is not None:
            tables[name] = table
    peers = tuple(
        peer for number, table in enumerate(_list(document, "peer", faults)) if (peer := _peer(table, number, faults))
    )
    rules = tuple(
        rule for number, table in enumerate(_list(document, "rule", faults)) if (rule := _rule(table, number, faults))
    )
    faults += _cross_faults(peers, rules)
    if faults:
        raise ConfigError(faults)
    return Settings(**tables, peers=peers, rules=rules)


def _list(document: Mapping[str, Any], key: str, faults: list[Fault]) -> list[Any]:
    found = document.get(key, [])
    if isinstance(found, list):
        return found
    faults.append(Fault(key=key, value="…", remedy=f"write [[{key}]] with two brackets, once for each"))
    return []


def _peer(table: Any, number: int, faults: list[Fault]) -> Peer | None:
    where = f"peer[{number}]"
    read = _validated(_PeerTable, table, where, faults)
    if read is None:
        return None
    outputs = () if read.outputs == AUTO else read.outputs
    _check_kinds(outputs, where, faults)
    return Peer(**{**read.model_dump(), "outputs": outputs})


def _check_kinds(outputs: tuple[str, ...], where: str, faults: list[Fault]) -> None:
    for output in outputs:
        if output not in OUTPUTS:
            remedy = _suggest(output, OUTPUTS, "no such kind of output")
            faults.append(Fault(key=f"{where}.outputs", value=output, remedy=remedy))


def _rule(table: Any, number: int, faults: list[Fault]) -> Rule | None:
    where = f"rule[{number}]"
    read = _validated(_RuleTable, table, where, faults)
    if read is None:
        return None
    _check_kinds(read.outputs, where, faults)
    study = _conditions(read.study, f"{where}.study", faults, ASSOCIATION_KEYS)
    series = _conditions(read.series, f"{where}.series", faults)
    inputs = {name: _conditions(table, f"{where}.inputs.{name}", faults) for name, table in read.inputs.items()}
    if not (read.study or read.series or any(read.inputs.values())):
        remedy = "name at least one condition in [rule.series] or [rule.inputs.<name>]"
        faults.append(Fault(key=where, value=read.name, remedy=remedy))
    fields = read.model_dump(exclude={"study", "series", "inputs"})
    return Rule(**fields, study=study, series=series, inputs=inputs, radiomics="radiomics" in read.outputs)


def _conditions(
    table: Mapping[str, Any], where: str, faults: list[Fault], extra: frozenset[str] = frozenset()
) -> tuple[Condition, ...]:
    try:
        return parse_conditions(table, where, extra=extra)
    except ConfigError as error:
        faults += error.faults
        return ()


def _cross_faults(peers: tuple[Peer, ...], rules: tuple[Rule, ...]) -> list[Fault]:
    faults = []
    names = [peer.name for peer in peers]
    for kind, found in (("peer", names), ("rule", [rule.name for rule in rules])):
        for name in sorted({name for name in found if found.count(name) > 1}):
            faults.append(Fault(key=f"{kind}.name", value=name, remedy="each name may stand once"))
    if "sender" in names:
        faults.append(Fault(key="peer.name", value="sender", remedy="the word means the peer that sent"))
    for peer in peers:
        target = next((other for other in peers if other.name == peer.results_to), None)
        if target is not None and not target.may_receive:
            remedy = "this peer is a modality; set accept_results = true in its entry if it shall have results"
            faults.append(Fault(key=f"peer {peer.name}.results_to", value=peer.results_to, remedy=remedy))
        if peer.results_to and peer.results_to not in names:
            remedy = _suggest(peer.results_to, tuple(names), "no such peer")
            faults.append(Fault(key=f"peer {peer.name}.results_to", value=peer.results_to, remedy=remedy))
    by_name = {peer.name: peer for peer in peers}
    for rule in rules:
        for destination in rule.destinations:
            if destination == "sender":
                continue
            if destination not in by_name:
                remedy = _suggest(destination, ("sender", *names), "no such peer")
                faults.append(Fault(key=f"rule {rule.name}.destinations", value=destination, remedy=remedy))
            elif not by_name[destination].may_receive:
                remedy = "this peer is a modality; set accept_results = true in its entry if it shall have results"
                faults.append(Fault(key=f"rule {rule.name}.destinations", value=destination, remedy=remedy))
            elif not _shared(rule, by_name[destination]):
                remedy = (
                    f"this peer takes only {', '.join(by_name[destination].outputs)}; have the rule make one of them"
                )
                faults.append(Fault(key=f"rule {rule.name}.outputs", value=destination, remedy=remedy))
    return faults


def _shared(rule: Rule, peer: Peer) -> bool:
    """Whether a rule makes anything that a peer takes; whatever makes a SEG makes a LABELMAP for who lists it."""
    made = {*rule.outputs, *(("labelmap",) if "seg" in rule.outputs else ())}
    return not peer.outputs or bool(made & set(peer.outputs))


def _validated(model: Any, table: Any, where: str, faults: list[Fault]) -> Any:
    try:
        return model.model_validate(table)
    except ValidationError as error:
        for one in error.errors():
            key = ".".join([where, *(str(part) for part in one["loc"])])
            remedy = one["msg"].removeprefix("Value error, ")
            value = one["input"]
            if one["type"] == "extra_forbidden":
                remedy = _suggest(str(one["loc"][-1]), tuple(model.model_fields))
            if one["type"] == "missing":
                remedy, value = "this key is required", None
            faults.append(Fault(key=key, value=value, remedy=remedy))
        return None


def _suggest(name: str, known: tuple[str, ...], problem: str = "no such key") -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"{problem}; did you mean {close[0]}?" if close else f"{problem}; known: {', '.join(known) or 'none'}"
