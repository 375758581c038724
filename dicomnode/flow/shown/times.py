"""How long a study took: from the first object to the last delivery, and inside its analysis stage by stage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dicomnode.domain.clock import from_text
from dicomnode.store.story import Line

#: `Computed.words` writes stages so.
_STAGE = re.compile(r"(?:^|, )([a-z][a-z ]*?) (\d+\.\d+) s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage and how long it took."""

    name: str
    seconds: float


def stages(words: str) -> list[Stage]:
    """The stages that a job tells of when it is done, in their order."""
    return [Stage(name=name, seconds=float(seconds)) for name, seconds in _STAGE.findall(words)]


def journey(lines: Sequence[Line], job_id: int, rule: str, destinations_done_at: str) -> list[Stage]:
    """What passed between the first object and the last delivery of the results of one job.

    Parameters
    ----------
    lines
        The study's story, oldest first.
    destinations_done_at
        When the last of its deliveries was done, as the database writes times; "" while one is not.
    """
    name = f"{job_id} ({rule})"
    created = _at(lines, "job", name, "created")
    if not created:
        return []
    before = [line for line in lines if line.at <= created]
    opened = max(
        (line.at for line in before if line.entity == "study" and line.arrow in ("opened", "reopened")), default=""
    )
    times = [
        ("arriving and settling", opened),
        ("waiting for its turn", created),
        ("analysing", _at(lines, "job", name, "claimed")),
        ("sending", _at(lines, "job", name, "finished")),
        ("", destinations_done_at),
    ]
    found = []
    for (stage, begun), (_, ended) in pairwise(times):
        if begun and ended and ended >= begun:
            found.append(Stage(name=stage, seconds=(from_text(ended) - from_text(begun)).total_seconds()))
    return found


def _at(lines: Sequence[Line], entity: str, entity_id: str, arrow: str) -> str:
    """When this happened last; "" if it did not."""
    return max(
        (one.at for one in lines if (one.entity, one.entity_id, one.arrow) == (entity, entity_id, arrow)), default=""
    )
