"""What rules in shadow would have run: lines of the story that begin with one word."""

from __future__ import annotations

from dataclasses import dataclass

from dicomnode.store.database import Database

#: Begins the detail of such a line; the index `event_in_shadow` holds these.
SHADOW = "shadow: "


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowMatch:
    """One thing that a rule would have done."""

    at: str
    rule: str
    study_instance_uid: str
    text: str


def shadow_matches(db: Database, *, rule: str = "", since: str = "") -> list[ShadowMatch]:
    """What rules in shadow would have run, the oldest first.

    Parameters
    ----------
    rule
        Name of the only rule to tell of; empty for all.
    since
        UTC text (domain/clock.py); empty for ever.
    """
    rows = db.rows(
        "SELECT at, entity_id, study_instance_uid, substr(detail, 9) AS text FROM event"
        " WHERE entity = 'rule' AND substr(detail, 1, 8) = 'shadow: ' AND at >= :since"
        " AND (:rule = '' OR entity_id = :rule) ORDER BY at, event_id",
        rule=rule, since=since,
    )  # fmt: skip
    return [
        ShadowMatch(at=row["at"], rule=row["entity_id"], study_instance_uid=row["study_instance_uid"], text=row["text"])
        for row in rows
    ]
