-- What was removed to make room. Rows outlive their files: they tell what comes back, and whose our own objects are.

ALTER TABLE study ADD COLUMN purged_at TEXT NOT NULL DEFAULT '';    -- empty: its objects are here

-- A row without its file counts for nothing (its standing is not 'current'), but its digest is known.
ALTER TABLE instance ADD COLUMN purged_at TEXT NOT NULL DEFAULT '';
ALTER TABLE instance ADD COLUMN returned INTEGER NOT NULL DEFAULT 0; -- it came again after it had been removed
ALTER TABLE instance ADD COLUMN given_up TEXT NOT NULL DEFAULT '';   -- why, once removed, it is not waited for any more
ALTER TABLE result ADD COLUMN purged_at TEXT NOT NULL DEFAULT '';
CREATE INDEX purged_instance ON instance (study_instance_uid, path) WHERE purged_at <> '';
CREATE INDEX kept_result ON result (job_id) WHERE purged_at = '';
CREATE INDEX study_by_age ON study (last_arrival_at);
CREATE INDEX job_prior_by_study ON job_prior (study_instance_uid);
CREATE INDEX prior_search_by_study ON prior_search (study_instance_uid);
CREATE INDEX pledge_object_by_study ON pledge_object (study_instance_uid);

-- Files that no row needs any more and that are still to be removed. Each is struck off in the transaction in which it
-- goes, so that neither a kill leaves it behind nor an object that comes back meanwhile loses its own.
CREATE TABLE removal (
    path      TEXT PRIMARY KEY,                      -- relative to the store
    denied_at TEXT NOT NULL DEFAULT ''               -- when that was last refused; empty: never
) STRICT, WITHOUT ROWID;
CREATE INDEX removal_by_denial ON removal (denied_at, path);

-- Removals that the audit trail is still to be told of; written in the transaction that gives the files up.
CREATE TABLE untold_removal (
    untold_id          INTEGER PRIMARY KEY,
    study_instance_uid TEXT NOT NULL,
    removed_at         TEXT NOT NULL,
    login              TEXT NOT NULL,               -- of the operator; empty: the node by its settings
    reason             TEXT NOT NULL
) STRICT;

-- Whether an archive has the objects of a study, which is asked before they go where the configuration wants that.
CREATE TABLE inputs_inquiry (
    study_instance_uid TEXT PRIMARY KEY REFERENCES study ON DELETE CASCADE,
    asked              INTEGER NOT NULL,            -- how often in vain
    next_at            TEXT NOT NULL,
    confirmed_at       TEXT NOT NULL                -- what came before then is kept there; empty: not known
) STRICT;

-- Which store this is: a backup goes over none of another. One that was restored is the same store.
CREATE TABLE store (
    identity TEXT NOT NULL
) STRICT;
INSERT INTO store (identity) VALUES (lower(hex(randomblob(16))));
