-- Which models were accepted here for use on patients, on what grounds; and which hold their jobs.

-- Rows are never changed: the newest of a model counts, and only while its bundle is as it was (recipe).
CREATE TABLE model_acceptance (
    acceptance_id INTEGER PRIMARY KEY,
    model         TEXT NOT NULL,
    version       TEXT NOT NULL,
    recipe        TEXT NOT NULL,                -- SHA-256 over model.toml and the declared hashes
    accepted_by   TEXT NOT NULL,
    accepted_at   TEXT NOT NULL,
    cases         INTEGER NOT NULL,
    figures       TEXT NOT NULL                 -- JSON
) STRICT;
CREATE INDEX model_acceptance_by_model ON model_acceptance (model, acceptance_id);

CREATE TABLE disabled_model (
    model       TEXT PRIMARY KEY,
    reason      TEXT NOT NULL,
    disabled_at TEXT NOT NULL
) STRICT;
