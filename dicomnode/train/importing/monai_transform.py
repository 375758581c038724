"""Transforms of a MONAI configuration as names with plain arguments, those that are not known refused by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dicomnode.train.importing.faults import refuse
from dicomnode.train.importing.monai_config import Config

#: Where MONAI's own transforms live; a name without a module is looked up there.
_MODULES = ("monai.transforms.",)

#: Arguments that change no value of an image: kinds of numbers, metadata, laziness.
_IDLE = frozenset({"dtype", "data_type", "allow_missing_keys", "lazy", "device", "track_meta", "meta_keys",
                   "meta_key_postfix", "wrap_sequence"})  # fmt: skip

_ENDINGS = ("Dict", "D", "d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """One transform.

    Attributes
    ----------
    name
        Without the module, and without the d of those that treat dictionaries.
    key
        Where it stands, for messages.
    keys
        What of the dictionary it treats; empty where it treats the image itself.
    arguments
        As written, references not followed yet.
    """

    name: str
    key: str
    keys: tuple[str, ...]
    arguments: Mapping[str, Any] = field(repr=False)
    config: Config = field(repr=False)

    def refuse(self, value: object, remedy: str) -> None:
        """Raise ConfigError with the place of this transform."""
        refuse(f"{self.config.where}: {self.key}", value, remedy)

    def take(self, *unread: str, **defaults: Any) -> dict[str, Any]:
        """The arguments that matter, plain, with MONAI's defaults where they are left out.

        Parameters
        ----------
        unread
            Arguments that may stand there and change nothing.

        Raises
        ------
        ConfigError
            If there is an argument that is not among them.
        """
        known = {*defaults, *unread, *_IDLE, "keys"}
        if strange := sorted(name for name in self.arguments if name not in known and name[:1] != "_"):
            self.refuse(", ".join(strange), f"no such setting of {self.name} has a counterpart in a bundle")
        return {
            name: self.config.plain(self.arguments[name], f"{self.key}.{name}") if name in self.arguments else default
            for name, default in defaults.items()
        }


def transforms(config: Config, name: str) -> list[Transform]:
    """The transforms of a chain, in order.

    Raises
    ------
    ConfigError
        If one is a function, comes from elsewhere, or the chain is not there.
    """
    chain = config.get(name)
    return [] if chain is None else list(_unfolded(config, chain, name))


def target(config: Config, table: Any, key: str, modules: tuple[str, ...]) -> str:
    """The name of the class that a table asks for, which has to be MONAI's.

    Raises
    ------
    ConfigError
        If it is not.
    """
    if not isinstance(table, Mapping) or not isinstance(table.get("_target_"), str):
        refuse(f"{config.where}: {key}", str(table)[:80], "needed a table with _target_")
    written = str(table["_target_"])
    if table.get("_mode_", "default") not in ("default", "callable"):
        refuse(f"{config.where}: {key}", str(table["_mode_"]), "asks for more than to be made; leave _mode_ out")
    module, _, short = written.rpartition(".")
    if module and not any(f"{module}.".startswith(allowed) for allowed in modules):
        refuse(f"{config.where}: {key}", written, "is not MONAI's own, and an import runs no code of others")
    return short


def _unfolded(config: Config, chain: Any, key: str) -> Iterator[Transform]:
    chain = config.followed(chain, key)
    if isinstance(chain, list):
        for number, one in enumerate(chain):
            yield from _unfolded(config, one, f"{key}[{number}]")
        return
    name = target(config, chain, key, _MODULES)
    disabled = config.followed(chain.get("_disabled_", False), f"{key}._disabled_")
    if disabled in (True, "true"):
        return
    if name == "Compose":
        yield from _unfolded(config, chain.get("transforms", []), f"{key}.transforms")
        return
    yield _transform(config, name, chain, key)


def _transform(config: Config, name: str, table: Mapping[str, Any], key: str) -> Transform:
    plain = next((name.removesuffix(end) for end in _ENDINGS if name.endswith(end) and "keys" in table), name)
    if plain in ("Lambda", "RandLambda"):
        refuse(f"{config.where}: {key}", name, "is a function in Python, and an import runs no code; leave it out")
    keys = config.plain(table.get("keys", []), f"{key}.keys")
    arguments = {name: value for name, value in table.items() if name[:1] != "_"}
    return Transform(
        name=plain,
        key=f"{key} ({name})",
        keys=tuple(keys) if isinstance(keys, list) else (str(keys),),
        arguments=arguments,
        config=config,
    )
