"""Judges what a configuration names outside itself: models by their hashes, and the files that TLS rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from dicomnode.config import Settings
from dicomnode.config.audit import collector_tls
from dicomnode.config.secure import as_tls
from dicomnode.deident.secret import read_secret
from dicomnode.domain.errors import ConfigError, DicomNodeError, Fault
from dicomnode.domain.rule import Rule
from dicomnode.infer.bundle.load import find_bundles, verify
from dicomnode.receive.users import Users
from dicomnode.route.inputs import unknown_inputs
from dicomnode.tls.credentials import Credentials


def unusable(settings: Settings) -> list[Fault]:
    """Every fault of what the configuration names; it is asked where the node would use it, by the same account."""
    return [*_models(settings), *_files(settings)]


def _models(settings: Settings) -> Iterator[Fault]:
    bundles, broken = find_bundles(settings.models.folder)
    verified: dict[str, str] = {}

    def fault_of(name: str) -> str:
        if name not in bundles:
            return f"{broken[name]}" if name in broken else f"no such bundle; known: {', '.join(bundles) or 'none'}"
        if name not in verified:
            verified[name] = _tried(lambda: verify(bundles[name]))
        return verified[name]

    for rule in (one for one in settings.rules if one.enabled):
        for key, name in _named(rule):
            if fault := fault_of(name):
                yield Fault(key=f"rule {rule.name}.{key}", value=name, remedy=fault)
            elif key == "model" and (strange := unknown_inputs(rule, bundles[name])):
                yield Fault(key=f"rule {rule.name}.inputs", value=", ".join(rule.inputs), remedy=strange)


def _named(rule: Rule) -> list[tuple[str, str]]:
    return [("model", rule.model), *([("shadow_model", rule.shadow_model)] if rule.shadow_model else [])]


def _files(settings: Settings) -> Iterator[Fault]:
    table = settings.tls
    tries: list[Callable[[], object]] = []
    if table.port:
        tries.append(lambda: Credentials(as_tls(table), server=True, required=table.require_client_certificate))
    if table.users:
        tries.append(lambda: Users(Path(table.users)))
    for tls in {peer.tls for peer in settings.peers if peer.tls is not None}:
        tries.append(lambda tls=tls: Credentials(tls, server=False))  # type: ignore[misc]
    if settings.audit.enabled and settings.audit.syslog_host:
        tries.append(lambda: Credentials(collector_tls(settings), server=False))
    if any(peer.deidentify is not None for peer in settings.peers):
        tries.append(lambda: read_secret(settings.deidentify.secret_file))
    found: dict[str, Fault] = {}
    for attempt in tries:
        try:
            attempt()
        except ConfigError as error:
            found |= {str(fault): fault for fault in error.faults}
    yield from found.values()


def _tried(act: Callable[[], None]) -> str:
    try:
        act()
    except DicomNodeError as error:
        return str(error)
    return ""
