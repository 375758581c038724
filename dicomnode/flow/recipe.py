"""Digests that decide whether an analysis has been done before."""

from __future__ import annotations

import hashlib
import json

from dicomnode import __version__
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Series


def recipe_digest(rule: Rule, spec: ModelSpec | None) -> str:
    """Digest of all that decides what an analysis of given inputs yields: network, description, rule, version."""
    parts = {
        "rule": rule.name,
        "model": rule.model,
        "outputs": rule.outputs,
        "recipe": spec.recipe if spec else "",
        "version": __version__,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def input_digest(series: Series) -> str:
    """Digest of the objects that go in, whatever their order of arrival."""
    lines = sorted(f"{instance.sop_instance_uid} {instance.digest}" for instance in series.instances)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
