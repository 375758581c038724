"""Counts what was not taken, which has no row of its own, and writes the sums down once in a while."""

from __future__ import annotations

from collections import Counter
from threading import Lock

from dicomnode.domain.errors import CannotUnderstand, NotAuthorised, OutOfResources, Refused, SOPClassMismatch
from dicomnode.store.counts import Counts
from dicomnode.store.database import Database

_FAMILY = "dicomnode_rejected_total"

#: What the sender was told → how it is counted.
_STATUSES = {
    OutOfResources.status: "out_of_resources",
    SOPClassMismatch.status: "sop_class_mismatch",
    CannotUnderstand.status: "cannot_understand",
    NotAuthorised.status: "not_authorised",
}
_OTHER = "processing_failure"
_ASSOCIATION, _FULL = "association", "too_many_associations"

#: Every value of the label.
REJECTIONS = (_ASSOCIATION, _FULL, *_STATUSES.values(), _OTHER)


class Tally:
    """What has been rejected since it was last written down; thread-safe.

    A full disk is what objects are refused for most, so that nothing is written where that happens; a process that is
    killed takes the last seconds of it along.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: Counter[str] = Counter(dict.fromkeys(REJECTIONS, 0))

    def association(self, *, full: bool) -> None:
        """A caller was not let in: because the node has as many as it takes, or for any other reason."""
        with self._lock:
            self._found[_FULL if full else _ASSOCIATION] += 1

    def refused(self, refusal: Refused) -> None:
        """An object was not taken."""
        with self._lock:
            self._found[_STATUSES.get(refusal.status, _OTHER)] += 1

    def write(self, db: Database) -> None:
        """Add it to the counters.

        Raises
        ------
        OutOfResources
            The database cannot be written now; it is all counted the next time.
        """
        with self._lock:
            found, self._found = self._found, Counter()
        if not found:
            return
        try:
            with db.transaction():
                Counts(db).add({(_FAMILY, (reason,)): number for reason, number in found.items()})
        except BaseException:
            with self._lock:
                # Not +=, which drops the zeros that let each reason be seen before it happens.
                self._found.update(found)
            raise
