"""What is wrong with a table, each fault with key, value and remedy."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

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
                remedy = suggest(str(one["loc"][-1]), tuple(model.model_fields))
            if one["type"] == "missing":
                remedy, value = "this key is required", None
            faults.append(Fault(key=key, value=value, remedy=remedy))
        return None


def suggest(name: str, known: tuple[str, ...], problem: str = "no such key") -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"{problem}; did you mean {close[0]}?" if close else f"{problem}; known: {', '.join(known) or 'none'}"
