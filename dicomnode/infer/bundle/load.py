"""Reads model bundles from their folders, and vouches that a network is the one its bundle declares."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dicomnode.domain.condition import parse_conditions
from dicomnode.domain.errors import ConfigError, Fault, ModelError
from dicomnode.domain.model import InputSpec, ModelSpec, ModelStatus, Task, TileSpec, Weights
from dicomnode.infer.bundle.schema import Bundle, faults

DESCRIPTION = "model.toml"


def load_bundle(folder: Path) -> ModelSpec:
    """The model that `folder` describes; its weights are not touched (see `verify`).

    Raises
    ------
    ConfigError
        With every fault of model.toml: unknown and missing keys, wrong types, contradictions, labels without codes.
    """
    where = f"{folder.name}/{DESCRIPTION}"
    try:
        content = (folder / DESCRIPTION).read_bytes()
        raw = tomllib.loads(content.decode())
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); a bundle is a folder with {DESCRIPTION}, its network and CARD.md"
        raise ConfigError([Fault(key=where, value=str(folder), remedy=reason)]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Fault(key=where, value="", remedy=f"not a TOML file in UTF-8: {error}")]) from error
    found: list[Fault] = []
    inputs = _inputs(raw.get("input"), where, found)
    try:
        # By way of JSON, because only there does pydantic's strict mode know that arrays are tuples.
        bundle = Bundle.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise ConfigError([*faults(error, where), *found]) from error
    if found:
        raise ConfigError(found)
    recipe = hashlib.sha256(content + bundle.model.sha256.encode()).hexdigest()
    return _spec(bundle, inputs, folder, recipe)


def find_bundles(models: Path) -> tuple[dict[str, ModelSpec], dict[str, ConfigError]]:
    """Every bundle under `models`: those that can be used by name, and what is wrong with the rest by folder name.

    A folder without model.toml is no bundle and is passed over.
    """
    if not models.is_dir():
        fault = Fault(key="models", value=str(models), remedy="no such folder; name the one that holds the bundles")
        return {}, {models.name: ConfigError([fault])}
    found: dict[str, ModelSpec] = {}
    broken: dict[str, ConfigError] = {}
    for description in sorted(models.glob(f"*/{DESCRIPTION}")):
        folder = description.parent
        try:
            spec = load_bundle(folder)
        except ConfigError as error:
            broken[folder.name] = error
            continue
        if spec.name in found:
            remedy = f"the folder {found[spec.name].folder.name} has a model of this name already; rename one"
            key = f"{folder.name}/{DESCRIPTION}: model.name"
            broken[folder.name] = ConfigError([Fault(key=key, value=spec.name, remedy=remedy)])
            continue
        found[spec.name] = spec
    return found, broken


def verify(spec: ModelSpec) -> None:
    """Check that the networks are there and are the declared ones.

    Raises
    ------
    ModelError
        If a file is missing or its SHA-256 differs.
    """
    for weights in spec.weights:
        read_network(spec, weights)
    if spec.cascade is not None:
        verify(spec.cascade.model)


def read_network(spec: ModelSpec, weights: Weights) -> bytes:
    """The bytes of a network, hashed after reading, so that what was checked is what gets loaded.

    Raises
    ------
    ModelError
        If the file is missing or its SHA-256 differs.
    """
    try:
        network = (spec.folder / weights.onnx).read_bytes()
    except OSError as error:
        raise ModelError(
            f"model {spec.name}: {weights.onnx} cannot be read ({error.strerror}), needed in its folder {spec.folder}"
        ) from error
    digest = hashlib.sha256(network).hexdigest()
    if digest != weights.sha256:
        raise ModelError(
            f"model {spec.name}: {weights.onnx} has SHA-256 {digest[:12]}…, needed {weights.sha256[:12]}… "
            "as model.toml says"
        )
    return network


def _inputs(tables: Any, where: str, found: list[Fault]) -> list[InputSpec]:
    """The inputs as domain values; faults of their conditions go to `found`, faults of shape are left to the schema."""
    inputs = []
    for name, table in (tables if isinstance(tables, dict) else {}).items():
        if not isinstance(table, dict):
            continue
        try:
            inputs.append(InputSpec(name=name, conditions=parse_conditions(table, f"input.{name}")))
        except ConfigError as error:
            found += (
                Fault(key=f"{where}: {fault.key}", value=fault.value, remedy=fault.remedy) for fault in error.faults
            )
    return inputs


def _spec(bundle: Bundle, inputs: list[InputSpec], folder: Path, recipe: str) -> ModelSpec:
    model = bundle.model
    return ModelSpec(
        name=model.name,
        version=model.version,
        title=model.title,
        status=ModelStatus(model.status),
        task=Task(model.task),
        manufacturer=model.manufacturer,
        licence=model.licence,
        folder=folder,
        weights=(Weights(onnx=model.onnx, sha256=model.sha256),),
        recipe=recipe,
        inputs=tuple(inputs),
        prepare=tuple(table.as_step() for table in bundle.prepare),
        tile=TileSpec(shape=bundle.tile.shape, overlap=bundle.tile.overlap, batch=bundle.tile.batch),
        activation=bundle.output.activation,
        post=tuple(table.as_step() for table in bundle.post),
        valid=tuple(bundle.valid.checks()),
        plausible=tuple(bundle.plausible.checks()),
        segments=tuple(table.segment() for table in sorted(bundle.segment, key=lambda table: table.number)),
        classes=tuple(table.label_of() for table in sorted(bundle.class_, key=lambda table: table.number)),
        scores=tuple(table.spec() for table in sorted(bundle.score, key=lambda table: table.number)),
    )
