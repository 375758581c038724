"""Finds the parts of a MONAI bundle, and reads its configuration as data: nothing in it is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicomnode.train.importing.faults import read_json, refuse

#: Names under which bundles keep what predicts, in the order of preference (MONAI Bundle Specification).
_CONFIGS = ("inference.json", "inference.yaml", "inference.yml")
_WEIGHTS = ("model.pt", "model.pth")
_SCRIPT = "model.ts"

#: References may lead to references, but not for ever.
_MOST_STEPS = 32

#: Signs with which MONAI's parser begins: an expression in Python, a reference, a piece of another file.
_EXPRESSION, _REFERENCE, _MACRO = "$", "@", "%"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonaiFolder:
    """One bundle.

    Attributes
    ----------
    weights, script
        Checkpoint and TorchScript, as far as they are there.
    """

    path: Path
    metadata: Mapping[str, Any] = field(repr=False)
    config: Config = field(repr=False)
    weights: Path | None
    script: Path | None


class Config:
    """An inference configuration whose references can be followed.

    Parameters
    ----------
    where
        Name of the file, for messages.
    """

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self._table = table
        self.where = where

    def get(self, name: str) -> Any:
        """What stands under a name, references followed; None where nothing does."""
        return self.followed(self._table.get(name), name)

    def followed(self, value: Any, key: str) -> Any:
        """The value that a reference leads to, or the value itself.

        Raises
        ------
        ConfigError
            If it would have to be evaluated, or leads nowhere.
        """
        for _ in range(_MOST_STEPS):
            if not isinstance(value, str) or value[:1] not in (_EXPRESSION, _REFERENCE, _MACRO):
                return value
            if value[0] != _REFERENCE:
                kind = "is an expression in Python" if value[0] == _EXPRESSION else "takes in another file"
                refuse(
                    f"{self.where}: {key}", value[:120], f"{kind}, and an import runs no code; write what comes of it"
                )
            value = self._at(value, key)
        return refuse(f"{self.where}: {key}", value, "references lead in a circle; write the value")

    def plain(self, value: Any, key: str) -> Any:
        """A value with all that lies inside of it, references followed.

        Raises
        ------
        ConfigError
            As `followed`; also if an object would have to be made.
        """
        value = self.followed(value, key)
        if isinstance(value, Mapping):
            if "_target_" in value:
                refuse(f"{self.where}: {key}", value["_target_"], "would have to be made, needed a plain value")
            return {name: self.plain(one, f"{key}.{name}") for name, one in value.items()}
        if isinstance(value, list):
            return [self.plain(one, f"{key}[{number}]") for number, one in enumerate(value)]
        return value

    def _at(self, reference: str, key: str) -> Any:
        found: Any = self._table
        for part in reference[1:].replace("#", "::").split("::"):
            if isinstance(found, Mapping) and part in found:
                found = found[part]
            elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            else:
                refuse(f"{self.where}: {key}", reference, "refers to what does not stand in this file")
        return found


def find(source: Path, config: str = "") -> MonaiFolder:
    """The parts of a bundle.

    Parameters
    ----------
    config
        Name of the inference configuration, where it is not the usual.

    Raises
    ------
    ConfigError
        If a part is missing or is not what it should be.
    """
    if not source.is_dir():
        refuse("SOURCE", str(source), "no such folder; name a MONAI bundle: a folder with configs/ and models/")
    configs = source / "configs"
    found = [name for name in ((config,) if config else _CONFIGS) if (configs / name).is_file()]
    if not found:
        needed = config or " or ".join(_CONFIGS)
        refuse("SOURCE", str(source), f"no configs/{needed}; name a MONAI bundle, and its file with --config")
    if not (configs / "metadata.json").is_file():
        refuse("SOURCE", str(source), "no configs/metadata.json, which says what channels mean; add it")
    models = source / "models"
    weights = next((models / name for name in _WEIGHTS if (models / name).is_file()), None)
    script = models / _SCRIPT
    if weights is None and not script.is_file():
        refuse("SOURCE", str(source), f"no models/{_WEIGHTS[0]} and no models/{_SCRIPT}; add the weights")
    return MonaiFolder(
        path=source,
        metadata=read_json(configs / "metadata.json"),
        config=Config(_read(configs / found[0]), found[0]),
        weights=weights,
        script=script if script.is_file() else None,
    )


def _read(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".json":
        return read_json(path)
    try:
        import yaml  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        refuse(path.name, str(path.parent), "is YAML, for which PyYAML is missing: pip install pyyaml")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())[:200]
        refuse(path.name, str(path.parent), f"not YAML ({said}); the file is damaged or of another kind")
    if not isinstance(found, dict):
        refuse(path.name, type(found).__name__, "needed a mapping; the file is of another kind")
    return found
