"""What stories say, for callers who may not see who the patients are."""

from __future__ import annotations

import re

from dicomnode.deliver.outcome import status_text
from dicomnode.flow.shown.technique import is_technique

#: The status of a C-STORE response and the standard's words for it come before what the peer has added
#: (`Receipt.words`).
_STATUS = re.compile(r"^[0-9A-F]{4}(?= )")

#: What is said of a series before the clauses of a rule (`hold.explain`).
_SERIES = re.compile(r"(?:shadow: )?series [^:]*? (?:matches|does not match)(?: as input [^:]*)?: ")

#: A clause of a rule with what was found (`route.match.evaluate`); its beginning is the configuration's.
_CLAUSE = re.compile(r"([A-Za-z]\w*(?:\.\w+)*) (.*?): found .*", re.DOTALL)

WITHHELD = "(for those who may see names)"

#: Arrows of a story whose words a person has written, after who that was or what it is about.
_BY_PEOPLE = frozenset({"flagged", "retracted", "waits no more for"})


def for_caller(entity: str, text: str, *, sees_names: bool) -> str:
    """A line without what may name the patient, where the caller may not see that.

    Parameters
    ----------
    entity
        What the line is about: what peers answer to deliveries, and what rules found in headers, holds words that
        nobody of us wrote.
    """
    if sees_names:
        return text
    if entity.startswith("delivery"):
        found = _STATUS.match(text)
        known = status_text(int(found.group(), 16)) if found else text
        return text if text in (known, f"{known}: ") else f"{known}: {WITHHELD}"
    return _of_rule(text) if entity == "rule" else text


def of_story(entity: str, arrow: str, text: str, *, sees_names: bool) -> str:
    """What a line of a story says to a caller."""
    if arrow in _BY_PEOPLE:
        return explained(text, sees_names=sees_names)
    return for_caller(entity, text, sees_names=sees_names)


def explained(text: str, *, sees_names: bool) -> str:
    """Who spoke or what kind of reason it is, then `written` words."""
    head, colon, own = text.partition(": ")
    return f"{head}: {written(own, sees_names=sees_names)}" if colon else text


def written(text: str, *, sees_names: bool) -> str:
    """Words that a reader or a peer has written, who may have named the patient."""
    return text if sees_names or not text else WITHHELD


def _of_rule(text: str) -> str:
    """The clauses of a rule, of which only those on technique keep what was found.

    What was found may itself look like the end of a clause, so that what follows one is shown only as a clause.
    """
    if ": found " not in text:
        return text
    head = _SERIES.match(text)
    told: list[str] = []
    for piece in text[head.end() if head else 0 :].split("; "):
        clause = _CLAUSE.fullmatch(piece)
        if clause is None:
            told += [] if told and told[-1].endswith(WITHHELD) else [WITHHELD]
        elif is_technique(clause[1].split(".")):
            told.append(piece)
        else:
            told.append(f"{clause[1]} {clause[2]}: found {WITHHELD}")
    return (head.group() if head else "") + "; ".join(told)
