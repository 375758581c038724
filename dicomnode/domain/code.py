"""A coded concept: value, scheme and meaning (PS3.3 section 8)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Code Value, Coding Scheme Designator and Code Meaning of one concept.

    Two are the same by value and scheme: a Code Meaning is no key and may be worded otherwise (PS3.3 section 8.3).
    """

    value: str
    scheme: str
    meaning: str = field(compare=False)

    def __str__(self) -> str:
        return f"({self.value}, {self.scheme}, “{self.meaning}”)"
