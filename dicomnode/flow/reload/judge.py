"""Judges what a configuration names outside itself: models by their hashes, and every file for secrets and TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError, Fault
from dicomnode.domain.rule import Rule
from dicomnode.flow.preflight.named import faults
from dicomnode.infer.bundle.load import find_bundles, verify
from dicomnode.route.inputs import unknown_inputs


def unusable(settings: Settings) -> list[Fault]:
    """Every fault of what the configuration names; it is asked where the node would use it, by the same account."""
    return [*_models(settings), *faults(settings)]


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


def _tried(act: Callable[[], None]) -> str:
    try:
        act()
    except DicomNodeError as error:
        return str(error)
    return ""
