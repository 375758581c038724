"""The reference of the configuration, from config/dicomnode.toml and the tables that the node reads it into."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import EnumType
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from dicomnode.config.alerts import NotifyTable
from dicomnode.config.tables import PeerTable, RuleTable, Settings

REFERENCE = Path(__file__).resolve().parents[2] / "config" / "dicomnode.toml"

#: Tables that stand once for each entry.
REPEATED: dict[str, type[BaseModel]] = {"peer": PeerTable, "notify": NotifyTable, "rule": RuleTable}

_HEAD = re.compile(r"^(?:# )?\[\[?(\w+)\]\]?\s*(?:#\s*(.*))?$")
_KEY = re.compile(r"^(?:# )?(\w+) = (.*?)(?:\s+#\s(.*))?$")
_MORE = re.compile(r"^(?:# )?\s{4,}#\s?(.*)$")

#: Keys of a rule that are tables of conditions; the file explains them in front of its examples.
CONDITIONS = {
    "study": "Conditions on the study: DICOM keywords, and `calling_aet`, `called_aet`, `peer`.",
    "series": "Conditions on every series: DICOM keywords; every line has to hold.",
    "inputs": "Conditions on the series for one input of the model each: `[rule.inputs.<name>]`.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key with what the file and the table say of it."""

    name: str
    default: str
    limits: str
    text: str


def tables() -> dict[str, type[BaseModel]]:
    """Table of the file → the model that it is read into."""
    once = {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    return {**once, **REPEATED}


def keys(table: str) -> list[Key]:
    """Every key of a table, in the order of the code."""
    said = _said()
    found = []
    for name, field in tables()[table].model_fields.items():
        key = field.alias or name
        default = "" if field.is_required() else _toml(field.get_default(call_default_factory=True))
        text = said.get((table, key), CONDITIONS.get(key, "") if table == "rule" else "")
        found.append(Key(name=key, default=default, limits=_limits(field), text=text))
    return found


def configuration() -> str:
    """The page."""
    lines = [
        "# Configuration",
        "",
        "One TOML file; `dicomnode init` writes one, `dicomnode check` tests it. It is looked for at `--config`, in"
        " `DICOMNODE_CONFIG`, then as `dicomnode.toml` in the current folder, then at `/etc/dicomnode/dicomnode.toml`.",
        "A key that is left out has its default. [Write a rule](../howto/rule.md) explains conditions.",
    ]
    for table, model in tables().items():
        heading = f"[[{table}]]" if table in REPEATED else f"[{table}]"
        about = (model.__doc__ or "").split("\n")[0].split(": ", 1)[-1]
        lines += ["", f"## `{heading}`", "", about[:1].upper() + about[1:], ""]
        lines += ["| key | default | allowed | |", "|---|---|---|---|"]
        lines += [
            "| "
            + " | ".join(cell.replace("|", "\\|") for cell in (f"`{one.name}`", one.default, one.limits, one.text))
            + " |"
            for one in keys(table)
        ]
    return "\n".join(lines) + "\n"


def _said() -> dict[tuple[str, str], str]:
    """(table, key) → what the comments of the reference file say; the first mention counts."""
    found: dict[tuple[str, str], list[str]] = {}
    table, last = "", None
    for line in REFERENCE.read_text(encoding="utf-8").splitlines():
        if head := _HEAD.match(line):
            table, last = head[1], None
        elif (key := _KEY.match(line)) and table:
            last = (table, key[1]) if (table, key[1]) not in found else None
            if last:
                found[last] = [key[3] or ""]
        elif (more := _MORE.match(line)) and last:
            found[last].append(more[1])
        elif not line.startswith("#") or line.strip() == "#":
            last = None
    return {key: " ".join(" ".join(parts).split()) for key, parts in found.items()}


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list):
        return "`[" + ", ".join(f'"{one}"' for one in value) + "]`"
    if isinstance(value, dict):
        return "none"
    return f"`{value}`" if isinstance(value, int | float) else f'`"{value}"`'


def _limits(field: Any) -> str:
    return ", ".join(_bounds(field))


def _bounds(field: Any) -> Iterator[str]:
    if field.is_required():
        yield "required"
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    for rule in field.metadata:
        for name, sign in signs.items():
            bound = getattr(rule, name, None)
            if bound is not None:
                yield f"{sign} {bound:g}"
    choices = getattr(field.annotation, "__args__", ())
    yield from (f"`{one}`" for one in choices if isinstance(one, str))
    if isinstance(field.annotation, EnumType):
        members: list[Any] = list(field.annotation)
        yield from (f"`{one}`" for one in members)
