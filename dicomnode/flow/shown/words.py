"""What stories say, for callers who may not see who the patients are."""

from __future__ import annotations

import re

from dicomnode.deliver.outcome import status_text

#: The status of a C-STORE response and the standard's words for it come before what the peer has added
#: (`Receipt.words`).
_STATUS = re.compile(r"^[0-9A-F]{4}(?= )")

#: A clause on the patient, with what was found (`route.match`).
_CLAUSE = re.compile(r"\b((?:\w+\.)*(?:Other)?Patient\w*\b[^:;]*): found [^;]*")

WITHHELD = "(for those who may see names)"


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
    return _CLAUSE.sub(rf"\1: found {WITHHELD}", text) if entity == "rule" else text
