"""The settings of radiomics for a cohort, from a file of their own with the keys that a bundle has."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dicomnode import __version__
from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.domain.measuring import RadiomicsSpec
from dicomnode.infer.bundle.radiomics import RadiomicsTable
from dicomnode.infer.bundle.schema import faults
from dicomnode.infer.bundle.tables import Table


class SettingsFile(Table):
    """`[radiomics]` alone."""

    radiomics: RadiomicsTable


def read_settings(path: Path) -> RadiomicsSpec:
    """The table `[radiomics]` of a TOML file, by the same rules as in model.toml.

    Raises
    ------
    ConfigError
        With every fault of the file.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        fault = Fault(key="--settings", value=path.name, remedy=f"cannot be read: {error.strerror}")
        raise ConfigError([fault]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Fault(key=path.name, value="", remedy=f"not a TOML file in UTF-8: {error}")]) from error
    try:
        return SettingsFile.model_validate_json(json.dumps(raw, default=str)).radiomics.spec()
    except ValidationError as error:
        raise ConfigError([*faults(error, path.name)]) from error


def described(spec: RadiomicsSpec) -> dict[str, Any]:
    """What decides about the values, for the file beside the table; harmonisation does not."""
    told = asdict(plain(spec))
    return {"node": __version__, **{name: told[name] for name in told if name not in ("stability", "harmonisation")}}


def plain(spec: RadiomicsSpec) -> RadiomicsSpec:
    """The same for values as measured, with dictionaries that can be copied to another process.

    What harmonises values is left out: it may be about to be fitted to the very table.
    """
    return replace(
        spec,
        image_types={name: dict(own) for name, own in spec.image_types.items()},
        settings=dict(spec.settings),
        stability={},
        harmonisation=None,
    )


def digest(spec: RadiomicsSpec, *, identified: bool) -> str:
    """Tells whether two runs may fill one table."""
    told = json.dumps([described(spec), identified], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()
