"""What the searches for an analysis have not seen, and whether a run of it only adds a comparison."""

from __future__ import annotations

from dicomnode.domain.prior import OWN_STORE
from dicomnode.store.database import Database

_STILL_ASKED = (
    "earlier studies at {} were still being looked for when this report was made; what is found there follows in a "
    "report that replaces this one"
)
_NOT_HAD = "earlier studies at {} could not be looked for"
_INCOMPLETE = "not all of the earlier studies at {} could be had"


def unheard(db: Database, job_id: int) -> tuple[str, ...]:
    """In words which peers have not told all that they have of a patient; by the newest search for each."""
    rows = db.rows(
        # Of the columns beside MAX, SQLite gives those of the row that holds it.
        "SELECT search.source, search.state, search.incomplete, MAX(search.search_id) FROM job AS mine"
        " JOIN job AS asked USING (study_instance_uid, rule, input_digest, recipe_digest)"
        " JOIN prior_search AS search ON search.job_id = asked.job_id"
        " WHERE mine.job_id = ? AND search.source <> ? GROUP BY search.source ORDER BY search.source",
        job_id, OWN_STORE,
    )  # fmt: skip
    said = {"waiting": _STILL_ASKED, "failed": _NOT_HAD, "cancelled": _NOT_HAD}
    words = ((row["source"], _INCOMPLETE if row["incomplete"] else said.get(row["state"], "")) for row in rows)
    return tuple(text.format(source) for source, text in words if text)


def newest_left_out(db: Database, job_id: int) -> str:
    """The day (YYYYMMDD) of the newest study that a search for this analysis left out; "" where none did."""
    row = db.row(
        "SELECT MAX(search.newest_left_out) AS day FROM job AS mine"
        " JOIN job AS asked USING (study_instance_uid, rule, input_digest, recipe_digest)"
        " JOIN prior_search AS search ON search.job_id = asked.job_id WHERE mine.job_id = ?",
        job_id,
    )
    return str(row["day"] or "") if row else ""


def only_compares(db: Database, job_id: int) -> bool:
    """Whether a job was given earlier studies to add a comparison to what a run before it has found."""
    row = db.row(
        "SELECT 1 FROM job AS mine JOIN job AS first USING (study_instance_uid, rule, input_digest, recipe_digest)"
        " WHERE mine.job_id = ? AND first.run < mine.run AND first.state = 'done' AND first.retracted = ''"
        " AND EXISTS (SELECT 1 FROM job_prior WHERE job_prior.job_id = mine.job_id)",
        job_id,
    )
    return row is not None
