"""What is wrong with a table, each fault with key, value and remedy."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError

from dicomnode.domain.errors import Fault


def validated(model: Any, table: Any, where: str, faults: list[Fault]) -> Any:
    try:
        return model.model_validate(table)
    except ValidationError as error:
        for one in error.errors():
            key = ".".join([where, *(str(part) for part in one["loc"])])
            remedy = one["msg"].removeprefix("Value error, ")
            value = one["input"]
            if one["type"] == "extra_forbidden":
                remedy = suggest(str(one["loc"][-1]), _keys(model, one["loc"][:-1]))
            if one["type"] == "missing":
                remedy, value = "this key is required", None
            faults.append(Fault(key=key, value=value, remedy=remedy))
        return None


def _keys(model: Any, path: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys that the table at `path` below a model may have, as the file writes them."""
    for part in path:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        inner = [one for one in (field.annotation, *get_args(field.annotation)) if _is_table(one)] if field else []
        model = inner[0] if inner else model
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _is_table(annotation: Any) -> bool:
    return hasattr(annotation, "model_fields")


def suggest(name: str, known: tuple[str, ...], problem: str = "no such key") -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"{problem}; did you mean {close[0]}?" if close else f"{problem}; known: {', '.join(known) or 'none'}"
