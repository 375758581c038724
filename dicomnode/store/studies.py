"""Studies as they arrive: what has come, over which association, and when a study reopens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from sqlite3 import Row

from dicomnode.domain.clock import from_text, to_text
from dicomnode.domain.errors import CannotUnderstand
from dicomnode.domain.header import Header, JsonAttributes, differences
from dicomnode.domain.network import Association
from dicomnode.domain.study import Arrival, Instance, Series, Study
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.identity import Corrections

#: Longer headers are read each time: those of enhanced objects take megabytes, and 64 are remembered.
_REMEMBERED_CHARACTERS = 1 << 14


class Standing(StrEnum):
    """What a stored object means for its study."""

    CURRENT = "current"  # the object that counts
    REPLACED = "replaced"  # another with the same UID came later and counts instead
    EQUAL = "equal"  # other bytes, same content as the current one
    UNDECIDED = "undecided"  # other transfer syntax: pixels must be decoded and compared
    CONFLICTING = "conflicting"  # other pixels under the same UID: an operator decides


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A study that is still receiving, in numbers."""

    study_instance_uid: str
    revision: int
    first_arrival_at: datetime
    last_arrival_at: datetime
    association_closed_at: datetime | None
    open_associations: int
    counts: dict[str, int]
    headers: dict[str, Header]
    held: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A second object under a SOP Instance UID that the study already has."""

    instance_id: int
    current: Instance
    newcomer: Instance
    newer: bool


@lru_cache(maxsize=64)
def _remembered(header: str) -> JsonAttributes:
    """Every instance of a series asks for the same one while the series comes; nobody changes it."""
    found: JsonAttributes = json.loads(header)
    return found


def _decoded(header: str) -> JsonAttributes:
    # With `__wrapped__` nothing is remembered.
    return (_remembered if len(header) <= _REMEMBERED_CHARACTERS else _remembered.__wrapped__)(header)


class Studies:
    """The rows of studies, series, instances and associations.

    Methods that write expect to be called inside `Database.transaction`.
    """

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    # ---- associations

    def open_association(self, association: Association) -> None:
        """Note that a peer has an association open; noting it again changes nothing."""
        self._db.execute(
            "INSERT INTO association VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            association.association_id, association.calling_aet, association.called_aet, association.address,
            self._db.now(),
        )  # fmt: skip

    def close_association(self, association_id: str) -> None:
        """Note that it is closed, however it ended, and tell the studies that it carried."""
        self._db.execute(
            "UPDATE study SET association_closed_at = ? WHERE study_instance_uid IN"
            " (SELECT study_instance_uid FROM association_study WHERE association_id = ?)",
            self._db.now(), association_id,
        )  # fmt: skip
        self._db.execute("DELETE FROM association WHERE association_id = ?", association_id)

    def clear_associations(self) -> None:
        """Close what a crashed listener left open."""
        for row in self._db.rows("SELECT association_id FROM association"):
            self.close_association(row["association_id"])

    # ---- arrivals

    def known(self, arrival: Arrival) -> Standing | None:
        """The standing of exactly this content, or None if it is not stored yet, or no longer.

        Raises
        ------
        CannotUnderstand
            The same bytes came with another transfer syntax: one of the two makes something else of them.
        """
        row = self._db.row(
            "SELECT standing, transfer_syntax_uid FROM instance"
            " WHERE study_instance_uid = ? AND sop_instance_uid = ? AND digest = ? AND purged_at = ''",
            arrival.study_instance_uid, arrival.sop_instance_uid, arrival.digest,
        )  # fmt: skip
        if row is not None and row["transfer_syntax_uid"] != arrival.transfer_syntax_uid:
            raise CannotUnderstand(f"the same data set came before in transfer syntax {row['transfer_syntax_uid']}")
        return None if row is None else Standing(row["standing"])

    def readmit(self, arrival: Arrival) -> None:
        """Let a replaced object count again, because it came once more: the newest wins."""
        self._touch(arrival, counts=True)
        row = self._db.row(
            "SELECT instance_id FROM instance WHERE study_instance_uid = ? AND sop_instance_uid = ? AND digest = ?",
            arrival.study_instance_uid, arrival.sop_instance_uid, arrival.digest,
        )  # fmt: skip
        if row is not None:
            self.promote(row["instance_id"])
        detail = "a replaced object came again and counts again"
        self._db.event(arrival.study_instance_uid, "instance", arrival.sop_instance_uid, "came again", detail)

    def current_instance(self, study_instance_uid: str, sop_instance_uid: str) -> Instance | None:
        """The object that counts under a UID."""
        row = self._db.row(
            "SELECT instance.*, series.header FROM instance JOIN series USING (study_instance_uid, series_instance_uid)"
            " WHERE study_instance_uid = ? AND sop_instance_uid = ? AND standing = 'current'",
            study_instance_uid, sop_instance_uid,
        )  # fmt: skip
        return None if row is None else self._instance(row, json.loads(row["header"]))

    def note_carrier(self, arrival: Arrival) -> None:
        """Note that this association carries this study."""
        self._db.execute(
            "INSERT INTO association_study SELECT association_id, ? FROM association WHERE association_id = ?"
            " ON CONFLICT DO NOTHING",
            arrival.study_instance_uid, arrival.association.association_id,
        )  # fmt: skip

    def add(self, arrival: Arrival, path: str, standing: Standing, *, known: bool = True) -> None:
        """Add a stored object; a settled study reopens with the next revision if the object counts.

        An object that replaces the current one (standing CURRENT under a `known` UID) takes its place. One that was
        removed to make room and comes back is new, in the row that it had.
        """
        was_removed = self._touch(arrival, counts=standing is Standing.CURRENT)
        header = self._series_header(arrival)
        if standing is Standing.CURRENT and known:
            self._db.execute(
                "UPDATE instance SET standing = 'replaced'"
                " WHERE study_instance_uid = ? AND sop_instance_uid = ? AND standing = 'current'",
                arrival.study_instance_uid, arrival.sop_instance_uid,
            )  # fmt: skip
        self._db.execute(
            "INSERT INTO instance (study_instance_uid, series_instance_uid, sop_class_uid, sop_instance_uid,"
            " transfer_syntax_uid, digest, size_bytes, path, own, arrived_at, standing)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (study_instance_uid, sop_instance_uid, digest)"
            " DO UPDATE SET path = excluded.path, size_bytes = excluded.size_bytes, own = excluded.own,"
            "  transfer_syntax_uid = excluded.transfer_syntax_uid, arrived_at = excluded.arrived_at,"
            "  standing = excluded.standing, purged_at = '', returned = 1 WHERE purged_at <> ''",
            arrival.study_instance_uid, arrival.series_instance_uid, arrival.sop_class_uid, arrival.sop_instance_uid,
            arrival.transfer_syntax_uid, arrival.digest, arrival.size_bytes, path,
            json.dumps(differences(arrival.header.merged(), header)), self._db.now(), standing.value,
        )  # fmt: skip
        self._db.execute("DELETE FROM removal WHERE path = ?", path)
        if was_removed:
            self._db.execute("UPDATE study SET purged_at = '' WHERE study_instance_uid = ?", arrival.study_instance_uid)
            self._db.event(arrival.study_instance_uid, "study", "", "came back", "its objects had been removed")

    def demand(self, arrival: Arrival) -> None:
        """Force a run at the next settling, reopening the study if need be."""
        self._touch(arrival, counts=True)
        self._db.execute(
            "UPDATE study SET on_demand = 1 WHERE study_instance_uid = ?", arrival.study_instance_uid
        )  # fmt: skip

    def reopen(self, study_instance_uid: str, why: str, *, forced: bool) -> bool:
        """Hold the rules against a study anew; False if it is unknown. `forced` repeats what was done before."""
        now = self._db.now()
        self._db.execute(
            "UPDATE study SET state = 'receiving', revision = revision + 1, changed_at = :now, first_arrival_at = :now,"
            " last_arrival_at = :now, reason = :why WHERE study_instance_uid = :uid AND state <> 'receiving'",
            now=now, uid=study_instance_uid, why=why,
        )  # fmt: skip
        return bool(
            self._db.execute(
                "UPDATE study SET on_demand = MAX(on_demand, ?) WHERE study_instance_uid = ?",
                int(forced), study_instance_uid,
            )
        )  # fmt: skip

    def rank(self, instance_id: int, standing: Standing) -> None:
        """Change what a stored object means."""
        self._db.execute("UPDATE instance SET standing = ? WHERE instance_id = ?", standing.value, instance_id)

    def promote(self, instance_id: int) -> None:
        """Let an object take the place of the current one under its UID."""
        self._db.execute(
            "UPDATE instance SET standing = 'replaced' WHERE standing = 'current'"
            " AND (study_instance_uid, sop_instance_uid) ="
            " (SELECT study_instance_uid, sop_instance_uid FROM instance WHERE instance_id = ?)",
            instance_id,
        )
        self.rank(instance_id, Standing.CURRENT)

    def hold(self, study_instance_uid: str, why: str) -> None:
        """Let nothing run on this study until an operator has decided."""
        self._db.execute("UPDATE study SET held = ? WHERE study_instance_uid = ?", why, study_instance_uid)
        self._db.event(study_instance_uid, "study", "", "held", why)

    def release(self, study_instance_uid: str) -> bool:
        """End a hold, whether there was one; the first object of each UID counts."""
        changed = self._db.execute(
            "UPDATE study SET held = '' WHERE study_instance_uid = ? AND held <> ''", study_instance_uid
        )
        if changed:
            self._db.execute(
                "UPDATE instance SET standing = 'replaced' WHERE study_instance_uid = ? AND standing = 'conflicting'",
                study_instance_uid,
            )
            self._db.event(study_instance_uid, "study", "", "released", "by an operator; the first objects count")
        return bool(changed)

    def variants(self) -> list[Variant]:
        """Objects whose pixels have to be compared with those of the current object."""
        rows = self._db.rows(
            "SELECT instance.*, series.header, other.instance_id AS current_id FROM instance"
            " JOIN series USING (study_instance_uid, series_instance_uid)"
            " JOIN instance AS other USING (study_instance_uid, sop_instance_uid)"
            " WHERE instance.standing = 'undecided' AND other.standing = 'current'"
        )
        found = []
        for row in rows:
            current = self.current_instance(row["study_instance_uid"], row["sop_instance_uid"])
            if current is not None:
                newcomer = self._instance(row, json.loads(row["header"]))
                newer = row["instance_id"] > row["current_id"]
                found.append(Variant(instance_id=row["instance_id"], current=current, newcomer=newcomer, newer=newer))
        return found

    # ---- settling

    def receiving(self, until: datetime | None = None) -> list[Received]:
        """Every study that has not settled, or only those to which nothing has come since `until`."""
        quiet = "" if until is None else to_text(until)
        rows = self._db.rows(
            "SELECT * FROM study WHERE state = 'receiving' AND (? = '' OR last_arrival_at <= ?)", quiet, quiet
        )
        return [self._received(row) for row in rows]

    def settle(self, received: Received, reason: str, *, forced: bool = False, abandoned: bool = False) -> bool:
        """Close the study to its rules.

        False if another object has come since `received` was read, or a run was demanded that `forced` does not know.
        """
        changed = self._db.execute(
            "UPDATE study SET state = :state, reason = :reason, changed_at = :now, on_demand = 0"
            " WHERE study_instance_uid = :uid AND state = 'receiving' AND revision = :revision"
            " AND last_arrival_at = :last AND held = '' AND (on_demand = :forced OR :state = 'abandoned')",
            forced=int(forced),
            state="abandoned" if abandoned else "settled", reason=reason, now=self._db.now(),
            uid=received.study_instance_uid, revision=received.revision,
            last=to_text(received.last_arrival_at),
        )  # fmt: skip
        return changed == 1

    def on_demand(self, study_instance_uid: str) -> bool:
        """Whether a forced run is wanted."""
        row = self._db.row("SELECT on_demand FROM study WHERE study_instance_uid = ?", study_instance_uid)
        return bool(row and row["on_demand"])

    def load(self, study_instance_uid: str, *, removed: bool = False) -> Study | None:
        """A study with the objects that count, series and instances in order of arrival.

        With `removed` also those that were removed to make room: of these the header is known, and there is no file.
        """
        row = self._db.row("SELECT * FROM study WHERE study_instance_uid = ?", study_instance_uid)
        if row is None:
            return None
        headers = {
            found["series_instance_uid"]: json.loads(found["header"])
            for found in self._db.rows("SELECT * FROM series WHERE study_instance_uid = ?", study_instance_uid)
        }
        instances: dict[str, list[Instance]] = {}
        for found in self._db.rows(
            "SELECT * FROM instance WHERE study_instance_uid = ? AND (standing = 'current' OR (? AND purged_at <> ''))"
            " ORDER BY instance_id",
            study_instance_uid, int(removed),
        ):  # fmt: skip
            uid = found["series_instance_uid"]
            instances.setdefault(uid, []).append(self._instance(found, headers[uid]))
        study = Study(
            study_instance_uid=study_instance_uid,
            revision=row["revision"],
            calling_aet=row["calling_aet"],
            called_aet=row["called_aet"],
            address=row["address"],
            peer=row["peer"],
            series=tuple(Series(series_instance_uid=uid, instances=tuple(own)) for uid, own in instances.items()),
        )
        return Corrections(self._db).told(study)

    def files(self, study_instance_uid: str) -> set[str]:
        """The files of a study's stored objects, relative to the store."""
        return {
            row["path"]
            for row in self._db.rows(
                "SELECT path FROM instance WHERE study_instance_uid = ? AND purged_at = ''", study_instance_uid
            )
        }

    # ---- inside

    def _touch(self, arrival: Arrival, counts: bool) -> bool:
        """Note an arrival in the row of its study; whether the objects of the study had been removed."""
        association, now, uid = arrival.association, self._db.now(), arrival.study_instance_uid
        sender = (association.calling_aet, association.called_aet, association.address, association.peer)
        row = self._db.row("SELECT state, purged_at FROM study WHERE study_instance_uid = ?", uid)
        if row is None:
            self._db.execute(
                "INSERT INTO study (study_instance_uid, changed_at, calling_aet, called_aet, address, peer,"
                " first_arrival_at, last_arrival_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                uid, now, *sender, now, now,
            )  # fmt: skip
            return False
        if counts and row["state"] != "receiving":
            self._db.execute(
                "UPDATE study SET state = 'receiving', revision = revision + 1, changed_at = ?, first_arrival_at = ?,"
                " reason = ? WHERE study_instance_uid = ?",
                now, now, f"object {arrival.sop_instance_uid} from {association.calling_aet}", uid,
            )  # fmt: skip
        if counts:
            self._db.execute(
                "UPDATE study SET last_arrival_at = ?, calling_aet = ?, called_aet = ?, address = ?, peer = ?"
                " WHERE study_instance_uid = ?",
                now, *sender, uid,
            )  # fmt: skip
        return bool(row["purged_at"])

    def _series_header(self, arrival: Arrival) -> JsonAttributes:
        found = self._db.row(
            "SELECT header FROM series WHERE study_instance_uid = ? AND series_instance_uid = ?",
            arrival.study_instance_uid, arrival.series_instance_uid,
        )  # fmt: skip
        if found is not None:
            return _decoded(found["header"])
        merged = arrival.header.merged()
        self._db.execute(
            "INSERT INTO series VALUES (?, ?, ?)",
            arrival.study_instance_uid, arrival.series_instance_uid, json.dumps(merged),
        )  # fmt: skip
        return merged

    def _received(self, row: Row) -> Received:
        uid = row["study_instance_uid"]
        counts = self._db.rows(
            "SELECT series_instance_uid AS series, COUNT(*) AS instances, MIN(instance_id) AS first FROM instance"
            " WHERE study_instance_uid = ? AND standing = 'current' GROUP BY series_instance_uid",
            uid,
        )
        headers = self._db.rows("SELECT * FROM series WHERE study_instance_uid = ?", uid)
        associations = self._db.row("SELECT COUNT(*) FROM association_study WHERE study_instance_uid = ?", uid)
        closed = row["association_closed_at"]
        return Received(
            study_instance_uid=uid,
            revision=row["revision"],
            first_arrival_at=from_text(row["first_arrival_at"]),
            last_arrival_at=from_text(row["last_arrival_at"]),
            association_closed_at=from_text(closed) if closed else None,
            open_associations=associations[0] if associations else 0,
            counts={found["series"]: found["instances"] for found in counts},
            headers={found["series_instance_uid"]: Header.of(_decoded(found["header"])) for found in headers},
            held=row["held"],
        )

    def _instance(self, row: Row, series_header: JsonAttributes) -> Instance:
        return Instance(
            sop_instance_uid=row["sop_instance_uid"],
            sop_class_uid=row["sop_class_uid"],
            transfer_syntax_uid=row["transfer_syntax_uid"],
            digest=row["digest"],
            path=self._files.path(row["path"]),
            header=Header(series_header, json.loads(row["own"])),
        )
