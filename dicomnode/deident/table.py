"""The table of PS3.15 E.1-1: what the Basic Profile and its options do with each attribute."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files

from pydicom.tag import BaseTag, Tag

from dicomnode.domain.privacy import Keep


class Action(Enum):
    """What becomes of one attribute (PS3.15 E.3.1, Table E.1-1a)."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    UID = "U"
    KEEP = "K"
    CLEAN = "C"


#: Of several actions between which Table E.1-1a lets the Type of the attribute decide, the one that conforms to every
#: Type is taken: a dummy is valid for Type 1, an empty value for Type 2, and both for Type 3.
_SAFEST = {
    "X": Action.REMOVE,
    "Z": Action.EMPTY,
    "X/Z": Action.EMPTY,
    "D": Action.DUMMY,
    "Z/D": Action.DUMMY,
    "X/D": Action.DUMMY,
    "X/Z/D": Action.DUMMY,
    "U": Action.UID,
    "X/Z/U*": Action.UID,
}

#: Groups of which the table takes the data; without them the rest describes nothing (PS3.3 C.9, C.10 of 2004).
_REPEATING = (0x5000, 0x6000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the table.

    Attributes
    ----------
    basic
        The action of the Basic Profile as the table writes it, such as `X/Z/D`.
    options
        Option → the action that stands in its column.
    """

    keyword: str
    basic: str
    options: Mapping[Keep, Action]

    def action(self, keep: Set[Keep]) -> Action:
        """The action under these options; one that keeps goes before one that cleans."""
        found = {action for option, action in self.options.items() if option in keep}
        for action in (Action.KEEP, Action.CLEAN):
            if action in found:
                return action
        return self.basic_action

    @property
    def basic_action(self) -> Action:
        """The action of the Basic Profile that conforms to every Type."""
        return _SAFEST[self.basic]


@cache
def table() -> Mapping[BaseTag, Row]:
    """Tag → row, without the repeating groups 50xx and 60xx."""
    rows = {}
    text = files("dicomnode.deident").joinpath("table_e1_1.tsv").read_text(encoding="ascii")
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        tag, keyword, basic, *rest = line.split("\t")
        options = dict(one.split(":") for one in rest[0].split()) if rest else {}
        rows[Tag(int(tag, 16))] = Row(
            keyword=keyword, basic=basic, options={Keep(name): Action(action) for name, action in options.items()}
        )
    return rows


def graphics(tag: BaseTag) -> bool:
    """Whether an attribute belongs to a curve (50xx) or an overlay (60xx)."""
    return tag.group & 0xFF00 in _REPEATING
