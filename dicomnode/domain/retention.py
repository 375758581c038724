"""How long the files of a study are kept, and what has to be true before they may go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepDays:
    """Days for which finished studies keep their files; 0: until the disk needs the room; None: as the default says."""

    inputs: float | None = None
    results: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """When something that has ended owes nothing any more.

    Attributes
    ----------
    failed_since
        What failed since then may still be tried again by an operator.
    confirming
        Peers that say whether they keep what they were sent; of others the status of their response has to do.
    requesting
        Peers that may ask this node to commit to objects and are waited for with the answer.
    sources
        Where priors are looked for.
    inputs_confirmed
        Whether objects wait until an archive has confirmed to have them.
    delivered_since
        What was sent, or came, since then and is not confirmed is waited for; None: however long ago.
    """

    failed_since: datetime
    confirming: frozenset[str] = frozenset()
    requesting: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    inputs_confirmed: bool = False
    delivered_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A study of which files are here.

    Attributes
    ----------
    inputs_since, results_since
        When the last of them came or was worked on, sent or made; None: none is here.
    rules
        Rules that had a job on it.
    owes
        In words what keeps its files from going.
    """

    study_instance_uid: str
    state: str
    objects: int
    input_bytes: int
    results: int
    result_bytes: int
    inputs_since: datetime | None
    results_since: datetime | None
    rules: tuple[str, ...]
    owes: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """What all of its files take."""
        return self.input_bytes + self.result_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """What a removal has taken away."""

    files: int = 0
    size_bytes: int = 0

    def __add__(self, other: Freed) -> Freed:
        return Freed(files=self.files + other.files, size_bytes=self.size_bytes + other.size_bytes)

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.files} files, {self.size_bytes / (1 << 20):.1f} MiB"
