"""What becomes of a delivery that its destination turns out not to have."""

from __future__ import annotations

from dicomnode.store.confirmations import Confirmations
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.owing import owe, states


def done(db: Database, files: Files) -> int:
    owe(db, files)
    for state in ("running", "done"):
        db.execute("UPDATE delivery SET state = ?", state)
    row = db.row("SELECT delivery_id FROM delivery JOIN result USING (result_id) WHERE role = 'seg'")
    assert row is not None
    return int(row["delivery_id"])


def test_it_is_owed_again(db: Database, files: Files) -> None:
    Confirmations(db).send_again(done(db, files), "lost")
    assert states(db)["seg"] == "waiting"


def test_a_result_whose_file_was_removed_is_given_up_visibly(db: Database, files: Files) -> None:
    delivery = done(db, files)
    db.execute("UPDATE result SET purged_at = '2026' WHERE role = 'seg'")
    Confirmations(db).send_again(delivery, "lost")
    row = db.row("SELECT state, reason, in_doubt FROM delivery WHERE delivery_id = ?", delivery)
    assert row is not None and (row["state"], row["in_doubt"]) == ("failed", 0)
    assert row["reason"] == "lost, and its file was removed here; `dicomnode rerun` makes a new one"


def test_what_is_confirmed_is_neither_sent_again_nor_given_up(db: Database, files: Files) -> None:
    delivery = done(db, files)
    db.execute("UPDATE delivery SET confirmed_at = '2026'")
    Confirmations(db).send_again(delivery, "lost")
    assert states(db)["seg"] == "done"
