"""What somebody wants of a supervisor from another thread, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event

from dicomnode.flow.running import Handed


@dataclass(slots=True, kw_only=True)
class Wish:
    """Somebody wants all processes replaced; `refused` says why that was not done once `done` is set."""

    handed: Handed
    done: Event = field(default_factory=Event)
    refused: str = ""
