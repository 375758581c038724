"""Says in words what one configuration has that another has not, without secrets, and what of it needs a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel

from dicomnode.config import Settings
from dicomnode.domain.errors import Fault
from dicomnode.domain.rule import Condition, Operator

#: Lists of the configuration whose entries have names.
_NAMED = {"peers": "peer", "rules": "rule", "notify": "notify"}

#: Of these the first that suits is taken: of peers for a caller, of rules for a round trip.
_ORDERED = ("peer", "rule")

#: What is told of an entry that is new.
_TOLD = ("model", "outputs", "destinations", "aet", "host", "port", "on", "shadow", "shadow_model")

#: Words of keys whose values may be secret, or lead to something that is: a web address may hold a token.
_SECRET = ("secret", "password", "passcode", "token", "authorization", "header_file", "template", "url", "key", "stow")
_HIDDEN = "changed; not shown"

#: Bound or locked when the node starts, by its supervisor, which stays.
_FIXED = (
    "store.folder", "node.host", "node.port", "tls.port", "tls.only", "web.host", "web.port", "stow.host", "stow.port",
)  # fmt: skip


def changes(old: Settings, new: Settings) -> list[str]:
    """One line for each difference, such as `rule chest-ct: destinations ["PACS"] → ["PACS", "BACKUP"]`."""
    found = [line for key, before, after in _tables(old, new) for line in _line(key, key, before, after)]
    for name, word in _NAMED.items():
        found += _entries(word, getattr(old, name, ()), getattr(new, name, ()))
    return found


def needs_restart(old: Settings, new: Settings) -> list[Fault]:
    """What changed that only a restart can take, each with a sentence."""
    return [
        Fault(
            key=key,
            value=after,
            remedy=f"cannot change while the node runs (it is {_text(before)}); put it back, or restart the node",
        )
        for key, before, after in _tables(old, new)
        if key in _FIXED and before != after
    ]


def _tables(old: Settings, new: Settings) -> Iterator[tuple[str, Any, Any]]:
    """Key, value before and value after of everything that differs and stands in a table of its own."""
    for name in type(new).model_fields:
        if name in _NAMED:
            continue
        before, after = _plain(getattr(old, name)), _plain(getattr(new, name))
        for key in after if isinstance(after, dict) else ():
            if before.get(key) != after[key]:
                yield f"{name}.{key}", before.get(key), after[key]


def _entries(word: str, old: Any, new: Any) -> Iterator[str]:
    before, after = {one.name: one for one in old}, {one.name: one for one in new}
    was, now = [name for name in before if name in after], [name for name in after if name in before]
    if word in _ORDERED and was != now:
        yield f"order of {word}s: {_text(was)} → {_text(now)}"
    for name in before:
        if name not in after:
            yield f"{word} {name}: removed"
    for name, entry in after.items():
        plain = _plain(entry)
        if name not in before:
            told = ", ".join(f"{key} {_text(plain[key])}" for key in _TOLD if plain.get(key))
            yield f"{word} {name}: added ({told})"
            continue
        former = _plain(before[name])
        for key in dict.fromkeys((*former, *plain)):
            if former.get(key) != plain.get(key):
                yield from _line(f"{word} {name}: {key}", key, former.get(key), plain.get(key))


def _line(shown: str, key: str, before: Any, after: Any) -> Iterator[str]:
    last = key.rsplit(".", 1)[-1]
    hidden = any(word in last for word in _SECRET) and last != "stow_tls"
    separator = " " if ": " in shown else ": "
    yield f"{shown}{separator}{_HIDDEN}" if hidden else f"{shown}{separator}{_text(before)} → {_text(after)}"


def _text(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    """A value as JSON would have it; conditions by their keys, as the file writes them."""
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if is_dataclass(value) and not isinstance(value, type):
        found: dict[str, Any] = {}
        for field in fields(value):
            inner = getattr(value, field.name)
            if isinstance(inner, tuple) and inner and all(isinstance(one, Condition) for one in inner):
                found |= _conditions(field.name, inner)
            elif field.name == "inputs" and isinstance(inner, Mapping):
                for name, conditions in inner.items():
                    found |= _conditions(f"inputs.{name}", conditions)
            else:
                found[field.name] = _plain(inner)
        return found
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        return [_plain(inner) for inner in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 20 and 20.0 are the same to whoever writes the file
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _conditions(where: str, conditions: tuple[Condition, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in conditions:
        operand = [_conditions("", (inner,)) for inner in one.operand] if one.operator is Operator.NOT else one.operand
        table = found.setdefault(f"{where}.{one.key}".lstrip("."), {})
        table[one.operator.value] = _plain(operand)
        if one.or_missing:
            table["or_missing"] = True
    return found
