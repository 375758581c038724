"""Writes a bundle whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dicomnode.domain.errors import ModelError
from dicomnode.infer.bundle.schema import NAME
from dicomnode.train.importing.faults import refuse

#: How the folder of an import that is not finished is called; nothing takes it for a bundle.
_UNFINISHED = ".importing-"


@contextmanager
def new_bundle(models: Path, name: str) -> Iterator[Path]:
    """A folder to write a bundle into, which becomes `models/name` when the block ends well, and else goes away.

    Raises
    ------
    ConfigError
        If the name is none of a bundle or is taken, or `models` is no folder.
    ModelError
        If the disk refuses.
    """
    if not re.fullmatch(NAME, name):
        refuse("--name", name, f"needed a-z, 0-9 and hyphens, the first no hyphen (pattern {NAME})")
    target = models / name
    if not models.is_dir():
        refuse("--folder", str(models), "no such folder; name the one that holds the bundles")
    if target.exists():
        refuse("--name", name, f"{target} exists already; take another name, or move that bundle away")
    around = models / f"{_UNFINISHED}{name}"
    try:
        # What a killed import has left.
        shutil.rmtree(around, ignore_errors=True)
        draft = around / name
        draft.mkdir(parents=True)
        yield draft
        draft.rename(target)
    except OSError as error:
        raise ModelError(f"bundle {name}: cannot be written to {models} ({error.strerror or error})") from error
    finally:
        shutil.rmtree(around, ignore_errors=True)


def write_model_toml(folder: Path, tables: Mapping[str, Any], remark: str) -> None:
    """Write model.toml, with a remark in its first line."""
    (folder / "model.toml").write_text(f"# {remark}\n{toml(tables)}", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """The digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def toml(tables: Mapping[str, Any]) -> str:
    """Tables as TOML: mappings become tables, sequences of mappings arrays of tables, what lies deeper is inline."""
    return "\n".join(block for name, table in tables.items() for block in _blocks(name, table))


def _blocks(name: str, table: Any) -> Iterator[str]:
    if _rows(table):
        for row in table:
            yield _block(f"[[{name}]]", row)
        return
    inner = {
        key: value for key, value in table.items() if _rows(value) or (name == "input" and isinstance(value, Mapping))
    }
    own = {key: value for key, value in table.items() if key not in inner}
    if own or not inner:
        yield _block(f"[{name}]", own)
    for key, value in inner.items():
        yield from _blocks(f"{name}.{key}", value)


def _rows(value: Any) -> bool:
    return isinstance(value, Sequence) and len(value) > 0 and all(isinstance(one, Mapping) for one in value)


def _block(head: str, values: Mapping[str, Any]) -> str:
    return "\n".join([head, *(f"{key} = {_inline(value)}" for key, value in values.items()), ""])


def _inline(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False)
        case int() | float():
            return repr(value)
        case Mapping():
            return "{ " + ", ".join(f"{key} = {_inline(one)}" for key, one in value.items()) + " }"
        case _:
            return "[" + ", ".join(_inline(one) for one in value) + "]"
