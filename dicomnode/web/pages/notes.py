"""What is to be said on the next page that a person sees, kept here so that it stands in no address."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from fastapi import Request

#: More than that many are not waited for at once.
_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One sentence; `kind` is how it looks: good, warn, bad or ""."""

    text: str
    kind: str


class Notes:
    """Sentences for one caller each, said once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._left: OrderedDict[tuple[str, str], Note] = OrderedDict()

    def leave(self, name: str, text: str, kind: str) -> str:
        """Keep a sentence for a caller; the number it is asked for by."""
        number = secrets.token_urlsafe(9)
        with self._lock:
            self._left[number, name] = Note(text=text, kind=kind)
            while len(self._left) > _MOST:
                self._left.popitem(last=False)
        return number

    def take(self, number: str, name: str) -> Note | None:
        """The sentence, if it is for this caller and was not said yet."""
        with self._lock:
            return self._left.pop((number, name), None)


def notes_of(request: Request) -> Notes:
    """Those of this application."""
    found: Notes = request.app.state.notes
    return found
