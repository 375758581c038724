"""The tables that say who is told of what, and what of them cannot work."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from string import Template
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field

from dicomnode.config.faults import suggest, validated
from dicomnode.config.section import Section
from dicomnode.config.secure import located
from dicomnode.domain.errors import Fault
from dicomnode.domain.notice import Topic
from dicomnode.domain.rule import Rule

#: What a template may name, as `$name` or `${name}`.
FIELDS = ("id", "notify", "node", "made_at", "count", "topics", "studies", "subject", "text", "notices")

#: Of `FIELDS`, what is JSON and not text: a list of objects.
JSON_FIELDS = ("notices",)


class NotifyTable(Section):
    """`[[notify]]`: who is told of what, by e-mail or by a request to a web address."""

    name: str = Field(pattern=r"^[\w.-]{1,64}$")
    on: tuple[Topic, ...] = Field(min_length=1)
    rules: tuple[str, ...] = ()
    patient: bool = False
    every_seconds: float = Field(default=60, ge=1)
    give_up_hours: float = Field(default=72, gt=0)
    timeout_seconds: float = Field(default=30, gt=0, le=300)
    to: tuple[str, ...] = ()
    sender: str = ""
    host: str = ""
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password_file: str = ""
    url: str = ""
    content_type: str = "application/json"
    template: str = ""
    header_file: str = ""
    ca: str = ""

    def below(self, base: Path) -> NotifyTable:
        """The same with whole paths of its files, as `secure.located` finds them."""
        names = ("password_file", "header_file", "ca")
        return self.model_copy(update={name: located(getattr(self, name), base) for name in names})


class Heartbeat(Section):
    """`[heartbeat]`: a watch elsewhere that complains when it hears nothing of this node."""

    url: str = ""
    every_seconds: float = Field(default=60, ge=1)
    method: Literal["GET", "POST"] = "GET"
    ca: str = ""

    def below(self, base: Path) -> Heartbeat:
        """The same with the whole path of its file."""
        return self.model_copy(update={"ca": located(self.ca, base)})


class Drift(Section):
    """`[drift]`: when a model is said to behave otherwise than it did."""

    last: int = Field(default=100, ge=0)
    before: int = Field(default=300, ge=0)
    least: int = Field(default=30, ge=5)
    p_value: float = Field(default=0.0005, gt=0, lt=0.5)
    share_points: float = Field(default=10, ge=0, le=100)
    median_percent: float = Field(default=20, ge=0)


def notify_tables(document: Mapping[str, Any], faults: list[Fault]) -> tuple[NotifyTable, ...]:
    """The entries of `[[notify]]`; what is wrong with their keys goes to `faults`."""
    found = document.get("notify", [])
    if not isinstance(found, list):
        faults.append(Fault(key="notify", value="…", remedy="write [[notify]] with two brackets, once for each"))
        return ()
    read = (validated(NotifyTable, table, f"notify[{number}]", faults) for number, table in enumerate(found))
    return tuple(one for one in read if one is not None)


def alert_faults(tables: Sequence[NotifyTable], heartbeat: Heartbeat | None, rules: Sequence[Rule]) -> list[Fault]:
    """What of the tables cannot work."""
    faults = []
    names = [one.name for one in tables]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.append(Fault(key="notify.name", value=name, remedy="each name may stand once"))
    for one in tables:
        faults += [
            Fault(key=f"notify {one.name}.{key}", value=value, remedy=remedy)
            for key, value, remedy in (*_way(one), *_mail(one), *_web(one))
        ]
        for rule in one.rules:
            if rule not in (known := tuple(each.name for each in rules)):
                remedy = suggest(rule, known, "no such rule")
                faults.append(Fault(key=f"notify {one.name}.rules", value=rule, remedy=remedy))
    if heartbeat is not None and heartbeat.url and (remedy := url_fault(heartbeat.url)):
        faults.append(Fault(key="heartbeat.url", value=heartbeat.url, remedy=remedy))
    return faults


def url_fault(url: str) -> str:
    """Why a request to this address would not be safe, or ""."""
    parts = split(url)
    if parts is None or parts.scheme not in {"https", "http"} or not parts.hostname:
        return "write the whole address, such as https://alerts.hospital.example/dicomnode"
    if parts.username or parts.password:
        return "a password does not belong into an address; name a header_file with the header Authorization"
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        return "needed https; http is for receivers on this machine (127.0.0.1, ::1, localhost)"
    return ""


def split(url: str) -> SplitResult | None:
    """The parts of an address; None where it is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if url.isascii() and url.isprintable() and " " not in url else None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _way(one: NotifyTable) -> Iterator[tuple[str, object, str]]:
    if bool(one.host) == bool(one.url):
        yield "host", one.host, "needed either host (of a mail server), or url (of a receiver of web requests)"


def _mail(one: NotifyTable) -> Iterator[tuple[str, object, str]]:
    if not one.host:
        return
    for key, addresses in (("to", one.to), ("sender", (one.sender,))):
        if not addresses or not all(_is_address(address) for address in addresses):
            yield key, addresses, "needed e-mail addresses, such as ct-desk@hospital.example"
    if bool(one.user) != bool(one.password_file):
        yield "password_file", one.password_file, "user and password_file belong together; name both"
    if one.security == "none" and one.user and not is_loopback(one.host):
        yield "security", one.security, 'a password would cross the network in the clear; needed "starttls" or "tls"'
    if one.security == "none" and one.patient and not is_loopback(one.host):
        yield "patient", True, 'names would cross the network in the clear; needed security = "starttls" or "tls"'


def _is_address(text: str) -> bool:
    local, at, domain = text.rpartition("@")
    plain = text.isascii() and text.isprintable() and not set(text) & set(' ,;:<>()[]"\\')
    return bool(plain and local and at and domain)


def _web(one: NotifyTable) -> Iterator[tuple[str, object, str]]:
    if not one.url:
        return
    if remedy := url_fault(one.url):
        yield "url", one.url, remedy
    if not one.content_type.isascii() or not one.content_type.isprintable():
        yield "content_type", one.content_type, "needed a media type, such as application/json"
    template = Template(one.template)
    if not template.is_valid():
        yield "template", one.template, "a $ stands before the name of a field; write $$ for the sign itself"
        return
    for name in template.get_identifiers():
        if name not in FIELDS:
            yield "template", f"${name}", suggest(name, FIELDS, "no such field")
            return
    if one.template and one.content_type.startswith("application/json"):
        try:
            json.loads(template.substitute({name: "[]" if name in JSON_FIELDS else "text" for name in FIELDS}))
        except ValueError as error:
            yield "template", one.template, f'no JSON with fields in it ({error}); text fields stand in quotes: "$text"'
