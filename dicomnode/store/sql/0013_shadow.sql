-- What is tried in the shadow of what runs: rules that only say what they would do, and candidates for a model's place.

-- What rules in shadow would have run is in the story (store/shadow_matches.py); the index holds these lines alone.
CREATE INDEX event_in_shadow ON event (at) WHERE entity = 'rule' AND substr(detail, 1, 8) = 'shadow: ';

-- Since when a rule has a candidate; what was analysed before is not looked at.
CREATE TABLE shadow_trial (
    rule      TEXT NOT NULL,
    candidate TEXT NOT NULL,
    since     TEXT NOT NULL,
    PRIMARY KEY (rule, candidate)
) STRICT;

-- One candidate on the inputs of one job that is done. One process works on them, so that a run needs no lease.
CREATE TABLE shadow_run (
    shadow_id         INTEGER PRIMARY KEY,
    job_id            INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    candidate         TEXT NOT NULL,
    version           TEXT NOT NULL DEFAULT '',
    state             TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    reason            TEXT NOT NULL DEFAULT '',
    attempts          INTEGER NOT NULL,
    changed_at        TEXT NOT NULL,
    model_seconds     REAL NOT NULL DEFAULT 0,
    candidate_seconds REAL NOT NULL DEFAULT 0,
    UNIQUE (job_id, candidate)
) STRICT;

-- Asked for whenever a worker has nothing else to do.
CREATE INDEX shadow_running ON shadow_run (attempts) WHERE state = 'running';

CREATE TABLE shadow_difference (
    shadow_id       INTEGER NOT NULL REFERENCES shadow_run ON DELETE CASCADE,
    position        INTEGER NOT NULL,
    figure          TEXT NOT NULL,          -- dice, volume, score, probability, agreement, findings
    subject         TEXT NOT NULL,          -- of a segment, score or answer: its name
    code            TEXT NOT NULL,          -- the same as scheme and value
    unit            TEXT NOT NULL,          -- UCUM
    model_value     REAL,                   -- empty where only one of the two tells
    candidate_value REAL,
    value           REAL,                   -- the figure itself: a coefficient, or candidate minus model
    PRIMARY KEY (shadow_id, position)
) STRICT;

CREATE INDEX job_done_by_rule ON job (rule, changed_at) WHERE state = 'done';

-- A comparison is about a patient, and goes when the images go.
CREATE TRIGGER shadow_forgotten AFTER UPDATE OF purged_at ON study WHEN OLD.purged_at = '' AND NEW.purged_at <> ''
BEGIN
    DELETE FROM shadow_run WHERE job_id IN (SELECT job_id FROM job WHERE study_instance_uid = NEW.study_instance_uid);
END;
