"""Studies, series and instances as the node holds them, and the arrival of one more object."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from dicomnode.domain.header import Header
from dicomnode.domain.network import Association


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One object that a peer wants us to keep.

    Attributes
    ----------
    path
        A complete Part 10 file inside the store's incoming folder, with the data set exactly as sent. It
        disappears when the handler returns, so whoever accepts the arrival moves it elsewhere first. A listener gives
        text: pathlib interns every part of a name, and each object has a new one.
    header
        Its attributes without pixel data and other bulk.
    digest
        SHA-256 of the data set as sent, without file meta information.
    on_demand
        Sent to a called AE title that forces a run even when nothing changed.
    move_originator
        AE title whose C-MOVE made the peer send the object (PS3.7 9.1.1.1.5); "" for one sent unasked.
    """

    association: Association
    path: Path | str
    header: Header
    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    digest: str
    size_bytes: int
    on_demand: bool = False
    move_originator: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One stored object."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    digest: str
    path: Path
    header: Header = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The stored objects of one series, or of one stack among those that were sent as one series.

    Attributes
    ----------
    stack
        Which stack of the series in words, such as its echo; "" for a series that is one stack.
    """

    series_instance_uid: str
    instances: tuple[Instance, ...] = field(repr=False)
    stack: str = ""

    @property
    def header(self) -> Header:
        """Header of the first instance; what varies between instances is in their own headers."""
        return self.instances[0].header

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"series {self.series_instance_uid}" + (f", {self.stack}" if self.stack else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study with what was said about it by the network.

    Attributes
    ----------
    calling_aet, called_aet, address, peer
        Those of the association that brought the newest object: the "sender" of rules.
    """

    study_instance_uid: str
    revision: int
    calling_aet: str
    called_aet: str
    address: str
    peer: str
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesProgress:
    """How much of one series has come.

    Attributes
    ----------
    expected
        How many instances the data set itself announces; None where it does not say.
    expected_by
        Keyword of the attribute that says so.
    """

    series_instance_uid: str
    received: int
    expected: int | None = None
    expected_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyProgress:
    """All evidence about whether a study has arrived."""

    study_instance_uid: str
    revision: int
    first_arrival_at: datetime
    last_arrival_at: datetime
    open_associations: int
    association_closed_at: datetime | None
    series: tuple[SeriesProgress, ...]
    usable: bool
