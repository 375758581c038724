"""Digests that decide whether an analysis has been done before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from dicomnode import __version__
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Instance


def recipe_digest(rule: Rule, spec: ModelSpec | None) -> str:
    """Digest of all that decides what an analysis of given inputs yields: network, description, rule, version."""
    parts = {
        "rule": rule.name,
        "model": rule.model,
        "outputs": rule.outputs,
        "use": rule.use,
        "recipe": spec.recipe if spec else "",
        "version": __version__,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def input_digest(inputs: Mapping[str, Sequence[Instance]]) -> str:
    """Digest of the objects that go in and of the inputs that they feed, whatever their order of arrival."""
    lines = sorted(
        f"{name} {instance.sop_instance_uid} {instance.digest}"
        for name, instances in inputs.items()
        for instance in instances
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
