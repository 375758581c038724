"""A STOW-RS request as the intake sees it: an association that ends with the answer (PS3.18 10.5)."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import structlog

from dicomnode.domain.errors import CannotUnderstand
from dicomnode.domain.network import Association
from dicomnode.receive.limits import Limits
from dicomnode.receive.storing import Intake, attempt
from dicomnode.receive.stow_answer import Brought
from dicomnode.receive.stow_multipart import End, Event, Head, Malformed, Multipart
from dicomnode.receive.stow_part import Part
from dicomnode.receive.tally import Tally

log = structlog.get_logger(__name__)

DICOM = "application/dicom"

#: Parts of one request: as many as a study may have objects by default.
_MOST_PARTS = 100_000

#: Parts that are no objects; whoever sends more of them sends something else.
_MOST_UNREADABLE = 1000

#: So many times the largest object is received (and forgotten) for the sake of an answer, as of a C-STORE.
_FORGOTTEN_TIMES = 2


class TooLarge(Malformed):
    """More is coming than anything that could be taken."""


class Storing:
    """Takes the body of one request block by block and hands every object to the intake.

    Its methods wait for the disk; one thread calls `feed` and `finish`, any may call `close`.

    Parameters
    ----------
    incoming
        Existing folder, on the file system of the store, for data sets under way.
    boundary
        Of a multipart body; None for a body that is a single object.
    study_instance_uid
        Of which every object has to be; "" for any.
    tally
        Told of every object that was not taken.

    Attributes
    ----------
    parts
        What has become of each part so far.
    """

    def __init__(
        self,
        intake: Intake,
        association: Association,
        incoming: Path,
        limits: Limits,
        *,
        boundary: str | None,
        study_instance_uid: str = "",
        tally: Tally | None = None,
    ) -> None:
        self.parts: list[Brought] = []
        self._intake, self._association, self._incoming = intake, association, incoming
        self._most_bytes = limits.maximum_object_bytes
        self._multipart = Multipart(boundary) if boundary is not None else None
        self._study = study_instance_uid
        self._tally = tally
        self._part: Part | None = None
        self._unreadable = 0
        self._opened = self._closed = False
        self._lock = Lock()

    def open(self) -> None:
        """Begin; what is refused now is refused as a whole.

        Raises
        ------
        Refused
            The intake takes nothing from anybody.
        """
        with self._lock:
            refusal = attempt(lambda: self._intake.opened(self._association))
            if refusal is not None:
                raise refusal
            self._opened = True
            if self._multipart is None:
                self._take(Head(media_type=DICOM))

    def feed(self, block: bytes) -> None:
        """Take a block of the body; objects that it completes are kept when this returns.

        Raises
        ------
        Malformed
            No more of the body can be understood. What was kept stays, and is not acknowledged.
        """
        with self._lock:
            if self._closed:
                return
            for event in self._multipart.feed(block) if self._multipart else (block,):
                self._take(event)

    def finish(self) -> list[Brought]:
        """What has become of every part, once the body has ended.

        Raises
        ------
        Malformed
            The body is incomplete or holds no part.
        """
        with self._lock:
            if self._multipart is None:
                self._take(End())
            else:
                self._multipart.finish()
            if not self.parts:
                raise Malformed("body: no part, needed at least one object")
            return self.parts

    def close(self) -> None:
        """End, however it came about; waits for an object that is being kept."""
        with self._lock:
            self._closed = True
            if self._part is not None:
                self._part.discard()
                self._part = None
            if self._opened:
                self._opened = False
                attempt(lambda: self._intake.closed(self._association))

    def _take(self, event: Event) -> None:
        if isinstance(event, Head):
            if len(self.parts) >= _MOST_PARTS:
                raise TooLarge(f"body: more than {_MOST_PARTS} parts")
            self._part = Part(self._incoming, self._most_bytes)
            if event.media_type not in (DICOM, ""):
                what = "is multipart itself" if event.media_type.startswith("multipart/") else "is of another type"
                self._part.refuse(CannotUnderstand(f"part: {what}, needed {DICOM}"))
            return
        part = self._part
        assert part is not None
        if isinstance(event, End):
            self._keep(part)
            self._part = None
            return
        part.write(event)
        if part.size_bytes > _FORGOTTEN_TIMES * self._most_bytes:
            raise TooLarge(f"part: more than {_FORGOTTEN_TIMES} times the limit of {self._most_bytes} bytes")

    def _keep(self, part: Part) -> None:
        refusal = attempt(lambda: self._intake.accept(part.arrival(self._association, self._study)))
        part.discard()
        self.parts.append(
            Brought(sop_class_uid=part.sop_class_uid, sop_instance_uid=part.sop_instance_uid, refusal=refusal)
        )
        if refusal is None:
            return
        if self._tally is not None:
            self._tally.refused(refusal)
        uid, status = part.sop_instance_uid, f"{refusal.status:04X}"
        log.warning("store_refused", sop_instance_uid=uid, status=status, reason=str(refusal))
        self._unreadable += not part.sop_instance_uid
        if self._unreadable > _MOST_UNREADABLE:
            raise TooLarge(f"body: more than {_MOST_UNREADABLE} parts that are no objects")
