"""How an import says what is wrong with a source: one line with the key, what was found, and the remedy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from dicomnode.domain.errors import ConfigError, Fault

T = TypeVar("T")


def refuse(key: str, value: object, remedy: str) -> NoReturn:
    """Raise ConfigError with one fault."""
    raise ConfigError([Fault(key=key, value=value, remedy=remedy)])


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON file that holds an object.

    Raises
    ------
    ConfigError
        If it cannot be read, or is something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        refuse(path.name, str(path.parent), f"cannot be read ({error.strerror}); name the folder that holds it")
    except ValueError as error:
        refuse(path.name, str(path.parent), f"not JSON ({error}); the file is damaged or of another kind")
    if not isinstance(found, dict):
        refuse(path.name, type(found).__name__, "needed a JSON object; the file is of another kind")
    return found


def need(table: Mapping[str, Any], key: str, kind: type[T], where: str) -> T:
    """The value of a key, which has to be of this type.

    Raises
    ------
    ConfigError
        If the key is missing or its value is of another type.
    """
    value = table.get(key)
    if not isinstance(value, kind):
        found = "missing" if key not in table else f"is {type(value).__name__}"
        refuse(f"{where}: {key}", "" if key not in table else str(value)[:80], f"{found}, needed {kind.__name__}")
    return value
