"""The tables of the configuration file with their keys, defaults and limits."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from dicomnode.config.alerts import Drift, Heartbeat, NotifyTable
from dicomnode.config.section import Section
from dicomnode.domain.certificate import parse_names
from dicomnode.domain.network import Peer, PeerRole, TlsProfile
from dicomnode.domain.privacy import Keep
from dicomnode.domain.rule import Rule, Use
from dicomnode.domain.work import Backoff

#: Kinds of object that a rule may ask for and a peer may take; `radiomics` also switches the computation on.
OUTPUTS = ("seg", "labelmap", "sr", "radiomics", "rtstruct", "map", "picture", "pdf")

#: What of the rule's kinds a peer gets is decided by what it accepts.
AUTO: Final = "auto"

_AET = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")


def _application_entity(title: str) -> str:
    if not _AET.fullmatch(title) or not title.strip():
        raise ValueError("write 1 to 16 characters without backslash or control characters (PS3.5 AE)")
    return title.strip()


class Node(Section):
    """`[node]`: what this node calls itself and where it listens."""

    aet: str = "DICOMNODE"
    also_called: tuple[str, ...] = ()
    on_demand: tuple[str, ...] = ()
    host: str = "0.0.0.0"  # noqa: S104 - a DICOM node listens on the hospital's network
    port: int = Field(default=11112, ge=0, le=65535)
    accept_unknown: bool = False
    maximum_associations: int = Field(default=25, ge=1)
    maximum_associations_per_peer: int = Field(default=20, ge=1)
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


class TlsTable(Section):
    """`[tls]`: the port for TLS, and what this node shows and trusts there and where it calls."""

    port: int = Field(default=0, ge=0, le=65535)
    only: bool = False
    certificate: str = ""
    key: str = ""
    ca: str = ""
    profile: TlsProfile = TlsProfile.BCP195
    require_client_certificate: bool = True
    users: str = ""


class Store(Section):
    """`[store]`: where everything is kept."""

    folder: Path = Path("/var/lib/dicomnode")


class Models(Section):
    """`[models]`: where the bundles lie."""

    folder: Path = Path("/usr/share/dicomnode/models")


class LimitsTable(Section):
    """`[limits]`: how much is taken in before a sender is told to try later."""

    object_mib: int = Field(default=4096, ge=1)
    slowest_bytes_per_second: float = Field(default=1000, ge=0)
    instances_per_study: int = Field(default=100_000, ge=0)
    waiting_jobs: int = Field(default=10_000, ge=0)


class Completion(Section):
    """`[completion]`: when a study has arrived."""

    announced_seconds: float = Field(default=2, gt=0)
    quiet_seconds: float = Field(default=5, gt=0)
    long_quiet_seconds: float = Field(default=60, gt=0)
    give_up_seconds: float = Field(default=900, gt=0)
    max_study_age_days: int = Field(default=30, ge=0)


class Work(Section):
    """`[work]`: how jobs are run."""

    max_attempts: int = Field(default=3, ge=1)
    lease_seconds: float = Field(default=60, ge=5)
    retry_seconds: float = Field(default=10, ge=0)
    threads: int = Field(default=0, ge=0)
    radiomics_processes: int = Field(default=1, ge=1)
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto"


class Deliver(Section):
    """`[deliver]`: how results are sent."""

    first_retry_seconds: float = Field(default=5, gt=0)
    longest_retry_seconds: float = Field(default=900, gt=0)
    connect_timeout_seconds: float = Field(default=10, gt=0)
    response_timeout_seconds: float = Field(default=60, gt=0)
    ask_after_seconds: float = Field(default=3600, ge=0)

    @property
    def backoff(self) -> Backoff:
        """The waiting times between tries."""
        return Backoff(
            first=timedelta(seconds=self.first_retry_seconds), longest=timedelta(seconds=self.longest_retry_seconds)
        )


class Priors(Section):
    """`[priors]`: the scratch area for earlier studies that are fetched from peers."""

    maximum_gib: float = Field(default=50, gt=0)
    leave_free_gib: float = Field(default=5, ge=0)
    keep_hours: float = Field(default=72, gt=0)
    response_timeout_seconds: float = Field(default=300, gt=0)


class RetentionTable(Section):
    """`[retention]`: how long files are kept, and what happens when the disk fills up."""

    inputs_days: float = Field(default=30, ge=0)
    results_days: float = Field(default=365, ge=0)
    failed_days: float = Field(default=30, ge=0)
    after: Literal["confirmed", "delivered"] = "confirmed"
    inputs_confirmed_by: tuple[str, ...] = ()
    unconfirmed_days: float = Field(default=0, ge=0)
    high_percent: float = Field(default=85, ge=0, le=100)
    low_percent: float = Field(default=75, ge=0, le=100)
    least_hours: float = Field(default=24, ge=0)
    reserve_percent: float = Field(default=2, ge=0, lt=100)

    @model_validator(mode="after")
    def _ordered(self) -> RetentionTable:
        if self.high_percent and self.low_percent > self.high_percent:
            raise ValueError("low_percent is above high_percent; files go from the high mark down to the low one")
        return self


class Deidentify(Section):
    """`[deidentify]`: how objects lose their patient on the way to peers that ask for it."""

    secret_file: str = ""

    def below(self, folder: Path) -> Deidentify:
        """The same with paths that are relative to `folder`."""
        return self.model_copy(update={"secret_file": str(folder / self.secret_file)}) if self.secret_file else self


class Commitment(Section):
    """`[commitment]`: how long storage commitment is waited for, in both roles."""

    answer_within_seconds: float = Field(default=3600, gt=0)
    report_timeout_seconds: float = Field(default=3600, gt=0)
    asks: int = Field(default=10, ge=1)
    resends: int = Field(default=2, ge=0)


class Audit(Section):
    """`[audit]`: the audit trail (PS3.15 A.5), and the collector it goes to."""

    enabled: bool = True
    folder: str = ""
    file_mib: int = Field(default=64, ge=1)
    sync: bool = True
    required: bool = False
    associations: bool = False
    source: str = ""
    site: str = ""
    syslog_host: str = ""
    syslog_port: int = Field(default=6514, ge=1, le=65535)
    syslog_ca: str = ""
    syslog_certificate: str = ""
    syslog_key: str = ""


class Web(Section):
    """`[web]`: the dashboard and the REST interface."""

    port: int = Field(default=0, ge=0, le=65535)
    host: str = Field(default="127.0.0.1", min_length=1)
    names: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""
    behind_proxy: bool = False
    proxy_addresses: tuple[str, ...] = ("127.0.0.1", "::1")
    session_hours: float = Field(default=8, gt=0, le=168)
    requests_per_minute: int = Field(default=600, ge=1)
    upload_mib: int = Field(default=64, ge=1)
    metrics_open: bool = False


class StowTable(Section):
    """`[stow]`: where objects come in by STOW-RS (PS3.18 10.5)."""

    port: int = Field(default=0, ge=0, le=65535)
    host: str = ""
    tls: bool = True


class Log(Section):
    """`[log]`: what is written and how."""

    level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    format: str = Field(default="text", pattern="^(text|json)$")


class PeerTable(Section):
    """`[[peer]]`: one of the machines that this node talks to."""

    name: str = Field(min_length=1)
    aet: str
    host: str = Field(min_length=1)
    port: int = Field(ge=0, le=65535)
    role: PeerRole = PeerRole.ARCHIVE
    addresses: tuple[str, ...] = ()
    results_to: str = ""
    accept_results: bool = False
    accept_research: bool = False
    rejection_notes: bool = False
    deflate: bool = False
    empty_frames: bool = False
    labelmap_background: bool = True
    retrieve: Literal["move", "get"] = "move"
    tls: bool = False
    certificate_subject: str = ""
    user: str = ""
    outputs: Literal["auto"] | tuple[str, ...] = AUTO
    deidentify: tuple[Keep, ...] | None = None
    commitment: bool = False
    verify: bool = False
    identity: bool = True
    committed_by: tuple[str, ...] = ()
    stow: str = Field(default="", pattern=r"^(https?://[^\s/?#@]+(/[^\s?#]*)?)?$")
    stow_authorization: str = ""
    token: str = ""

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

    @field_validator("certificate_subject")
    @classmethod
    def _names(cls, subject: str) -> str:
        if subject:
            parse_names(subject)
        return subject

    @field_validator("addresses")
    @classmethod
    def _networks(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            ip_network(address, strict=False)
        return addresses


class WishTable(Section):
    """`priors` of a `[[rule]]`: which earlier studies to compare with."""

    sources: tuple[str, ...] = Field(alias="from", min_length=1)
    within_days: int = Field(default=1095, ge=1)
    at_most: int = Field(default=2, ge=1, le=10)
    wait_seconds: float = Field(default=3600, ge=0)


class KeepTable(Section):
    """`keep_days` of a `[[rule]]`: how long its studies keep their files, where the default does not suit."""

    inputs: float | None = Field(default=None, ge=0)
    results: float | None = Field(default=None, ge=0)


class RuleTable(Section):
    """`[[rule]]`: what to run on which series, and who gets the results."""

    name: str = Field(pattern=r"^[\w.-]{1,64}$")
    model: str = Field(min_length=1)
    outputs: tuple[str, ...] = Field(default=("seg", "sr"), min_length=1)
    destinations: tuple[str, ...] = Field(default=("sender",), min_length=1)
    use: Use = Use.RESEARCH
    deadline_seconds: float = Field(default=0, ge=0)
    priority: int = 0
    enabled: bool = True
    priors: WishTable | None = None
    keep_days: KeepTable | None = None
    shadow: bool = False
    shadow_model: str = ""
    study: dict[str, Any] = Field(default_factory=dict)
    series: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = Field(default_factory=dict)


class Settings(Section):
    """All of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    node: Node = Node()
    tls: TlsTable = TlsTable()
    store: Store = Store()
    models: Models = Models()
    limits: LimitsTable = LimitsTable()
    completion: Completion = Completion()
    work: Work = Work()
    deliver: Deliver = Deliver()
    priors: Priors = Priors()
    retention: RetentionTable = RetentionTable()
    deidentify: Deidentify = Deidentify()
    commitment: Commitment = Commitment()
    audit: Audit = Audit()
    web: Web = Web()
    stow: StowTable = StowTable()
    heartbeat: Heartbeat = Heartbeat()
    drift: Drift = Drift()
    log: Log = Log()
    peers: tuple[Peer, ...] = ()
    rules: tuple[Rule, ...] = ()
    notify: tuple[NotifyTable, ...] = ()

    def peer(self, name: str) -> Peer | None:
        """The peer of that name."""
        return next((peer for peer in self.peers if peer.name == name), None)
