"""Reads model bundles from their folders, and vouches that a network is the one its bundle declares."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dicomnode.domain.condition import parse_conditions
from dicomnode.domain.errors import ConfigError, Fault, ModelError
from dicomnode.domain.measuring import Harmonisation, MeasureSpec, RadiomicsSpec
from dicomnode.domain.model import (
    Cascade,
    InputSpec,
    ModelSpec,
    ModelStatus,
    NetworkSpec,
    Task,
    TileSpec,
    Weights,
)
from dicomnode.infer.bundle.harmonisation import read_harmonisation
from dicomnode.infer.bundle.schema import Bundle, faults

DESCRIPTION = "model.toml"

#: Keys of `[output]` that say how a network's answer is read.
_READING = {"aggregate", "score_at_least", "iou", "blend", "back", "apart_above", "apart"}

#: Stands where no network sees images.
_NO_TILE = TileSpec(shape=(1, 1, 1), overlap=0.0, batch=1)


def load_bundle(folder: Path) -> ModelSpec:
    """The model that `folder` describes with its coarse model, if any; weights are not touched (see `verify`).

    Raises
    ------
    ConfigError
        With every fault of model.toml: unknown and missing keys, wrong types, contradictions, labels without codes,
        a name that is not the folder's.
    """
    where = f"{folder.absolute().name}/{DESCRIPTION}"
    spec = _load(folder, where, coarse=True)
    if spec.name != folder.absolute().name:
        remedy = (
            f"the folder is called {folder.absolute().name}; give both the same name, by which rules find the model"
        )
        raise ConfigError([Fault(key=f"{where}: model.name", value=spec.name, remedy=remedy)])
    return spec


def _load(folder: Path, where: str, *, coarse: bool) -> ModelSpec:
    """One bundle; `coarse` says whether it may have a coarse model."""
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
    cascade = _cascade(bundle, inputs, folder, where, allowed=coarse)
    return _spec(bundle, inputs, folder, content, cascade, _harmonisation(bundle, folder, where))


def _harmonisation(bundle: Bundle, folder: Path, where: str) -> Harmonisation | None:
    """What the file of `[harmonisation]` holds."""
    table = bundle.harmonisation
    if table is None:
        return None
    try:
        return read_harmonisation(folder / table.file, table.sha256)
    except ValueError as error:
        raise ConfigError([Fault(key=f"{where}: harmonisation.file", value=table.file, remedy=str(error))]) from error


def _cascade(bundle: Bundle, inputs: list[InputSpec], folder: Path, where: str, *, allowed: bool) -> Cascade | None:
    """The coarse model of a bundle, which has none of its own."""
    table = bundle.cascade
    if table is None:
        return None
    if not allowed:
        remedy = "a coarse model cannot have a coarse model of its own; merge the two"
        raise ConfigError([Fault(key=f"{where}: cascade", value=table.folder, remedy=remedy)])
    parent = where.removesuffix(DESCRIPTION)
    model = _load(folder / table.folder, f"{parent}{table.folder}/{DESCRIPTION}", coarse=False)
    known = {segment.number for segment in model.segments}
    names = [one.name for one in inputs if bundle.contours is None or one.name != bundle.contours.input]
    remedies: list[tuple[str, object, str]] = []
    if model.task is not Task.SEGMENT:
        remedies.append(("folder", table.folder, f"its task is {model.task}; a coarse model has to segment"))
    for key, asked in (("segments", {*table.segments}), ("channels", {*table.channels} - {0})):
        if not asked <= known:
            remedies.append((key, sorted(asked), f"the coarse model has {sorted(known)}"))
    if not {one.name for one in model.inputs} <= {*names} or model.input.name != names[0]:
        say = f"it has the inputs {[one.name for one in model.inputs]}, needed some of {names} with the first in front"
        remedies.append(("folder", table.folder, say))
    remedies += ((f"folder {table.folder}: {key}", "", say) for key, say in _unheeded(model, inputs, bundle))
    named = [("measure.lungs", bundle.measure.lungs)]
    if bundle.signature is not None:
        named.append(("signature.ring_within", bundle.signature.ring_within))
    else:
        known = {segment.number for segment in bundle.segment}
    for key, numbers in named:
        if not {*numbers} <= known:
            remedies.append((f"with {key}", numbers, f"needed some of segments {sorted(known)}"))
    if remedies:
        raise ConfigError([Fault(key=f"{where}: cascade.{key}", value=at, remedy=say) for key, at, say in remedies])
    margin_mm = table.margin_mm or 0.0
    return Cascade(model=model, segments=table.segments, margin_mm=margin_mm, channels=table.channels)


def _unheeded(model: ModelSpec, inputs: list[InputSpec], bundle: Bundle) -> Iterator[tuple[str, str]]:
    """What a coarse model states and nothing heeds, by its key: nobody should believe in it."""
    if model.valid:
        yield "valid", "the limits of the fine model alone are checked; state them there"
    if model.plausible and bundle.signature is None:
        yield "plausible", "the answer of the fine model alone is checked; state the limits there"
    if model.features:
        yield "model.features", "a coarse model gets images alone; use a network that needs no more"
    if model.measure != MeasureSpec() or model.radiomics != RadiomicsSpec():
        yield "measure, radiomics", "what the outer model states is measured; state it there"
    own = {each.name: each.conditions for each in inputs}
    for each in model.inputs:
        if each.conditions != own.get(each.name, each.conditions):
            yield f"input.{each.name}", "the conditions of the fine model alone choose the series; write the same here"


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


def _spec(
    bundle: Bundle,
    inputs: list[InputSpec],
    folder: Path,
    content: bytes,
    cascade: Cascade | None,
    harmonisation: Harmonisation | None,
) -> ModelSpec:
    model, output = bundle.model, bundle.output
    weights = model.weights()
    hashes = "".join(one.sha256 for one in weights) + (cascade.model.recipe if cascade else "")
    hashes += bundle.harmonisation.sha256 if bundle.harmonisation else ""
    # The regions of a signature are its coarse model's answer, and have to be as plausible as that asks.
    regions = cascade.model.plausible if cascade and bundle.signature else ()
    return ModelSpec(
        name=model.name,
        version=model.version,
        title=model.title,
        status=ModelStatus(model.status),
        task=Task(model.task),
        manufacturer=model.manufacturer,
        licence=model.licence,
        folder=folder,
        weights=weights,
        recipe=hashlib.sha256(content + hashes.encode()).hexdigest(),
        inputs=tuple(inputs),
        prepare=tuple(table.as_step() for table in bundle.prepare),
        tile=bundle.tile.spec() if bundle.tile else _NO_TILE,
        activation=output.activation if output else "none",
        post=tuple(table.as_step() for table in bundle.post),
        valid=tuple(bundle.valid.checks()),
        plausible=(*bundle.plausible.checks(), *regions),
        segments=tuple(table.segment() for table in sorted(bundle.segment, key=lambda table: table.number)),
        classes=tuple(table.label_of() for table in sorted(bundle.class_, key=lambda table: table.number)),
        scores=tuple(table.spec() for table in sorted(bundle.score, key=lambda table: table.number)),
        question=output.question.code() if output and output.question else None,
        features=model.features,
        cascade=cascade,
        network=NetworkSpec(
            **bundle.network.model_dump(),
            labels=sum(not table.derived for table in bundle.segment),
            **(output.model_dump(include=_READING) if output else {}),
        ),
        sensitivity=model.sensitivity,
        measure=bundle.measure.spec(),
        radiomics=bundle.radiomics.spec(harmonisation),
        contours=bundle.contours.input if bundle.contours else "",
        signature=bundle.signature.spec() if bundle.signature else None,
    )
