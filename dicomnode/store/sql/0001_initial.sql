-- What has come, what is owed, and what happened. Times are UTC text (domain/clock.py); every table is STRICT.

CREATE TABLE transition (
    entity TEXT NOT NULL,
    before TEXT NOT NULL,
    arrow  TEXT NOT NULL,
    after  TEXT NOT NULL,
    PRIMARY KEY (entity, before, after)
) STRICT;

INSERT INTO transition (entity, before, arrow, after) VALUES
    ('study', 'receiving', 'settled', 'settled'),
    ('study', 'receiving', 'abandoned', 'abandoned'),
    ('study', 'settled', 'reopened', 'receiving'),
    ('study', 'abandoned', 'reopened', 'receiving'),
    ('job', 'waiting', 'claimed', 'running'),
    ('job', 'running', 'finished', 'done'),
    ('job', 'running', 'retried', 'waiting'),
    ('job', 'running', 'failed', 'failed'),
    ('job', 'failed', 'requeued', 'waiting'),
    ('job', 'waiting', 'cancelled', 'cancelled'),
    ('delivery', 'waiting', 'claimed', 'running'),
    ('delivery', 'running', 'finished', 'done'),
    ('delivery', 'running', 'retried', 'waiting'),
    ('delivery', 'running', 'failed', 'failed'),
    ('delivery', 'failed', 'requeued', 'waiting'),
    ('delivery', 'waiting', 'cancelled', 'cancelled');

-- The history; rows are added by triggers and by the loops, never changed.
CREATE TABLE event (
    event_id           INTEGER PRIMARY KEY,
    at                 TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    entity             TEXT NOT NULL,
    entity_id          TEXT NOT NULL,
    arrow              TEXT NOT NULL,
    detail             TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_study ON event (study_instance_uid, event_id);

CREATE TABLE study (
    study_instance_uid    TEXT PRIMARY KEY,
    state                 TEXT NOT NULL DEFAULT 'receiving',
    reason                TEXT NOT NULL DEFAULT '',   -- of the last arrow
    changed_at            TEXT NOT NULL,
    revision              INTEGER NOT NULL DEFAULT 1,
    calling_aet           TEXT NOT NULL,              -- of the newest object: the "sender"
    called_aet            TEXT NOT NULL,
    address               TEXT NOT NULL,
    peer                  TEXT NOT NULL,
    first_arrival_at      TEXT NOT NULL,              -- within this revision
    last_arrival_at       TEXT NOT NULL,
    association_closed_at TEXT,
    on_demand             INTEGER NOT NULL DEFAULT 0, -- a forced run is wanted at the next settling
    held                  TEXT NOT NULL DEFAULT ''    -- why nothing may run until an operator decides
) STRICT;
CREATE INDEX study_by_state ON study (state);

CREATE TABLE series (
    study_instance_uid  TEXT NOT NULL REFERENCES study ON DELETE CASCADE,
    series_instance_uid TEXT NOT NULL,
    header              TEXT NOT NULL,                -- DICOM JSON of the first instance
    PRIMARY KEY (study_instance_uid, series_instance_uid)
) STRICT;

CREATE TABLE instance (
    instance_id         INTEGER PRIMARY KEY,
    study_instance_uid  TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    sop_class_uid       TEXT NOT NULL,
    sop_instance_uid    TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    digest              TEXT NOT NULL,                -- SHA-256 of the data set as sent
    pixel_digest        TEXT NOT NULL,
    size_bytes          INTEGER NOT NULL,
    path                TEXT NOT NULL,                -- relative to the store
    own                 TEXT NOT NULL,                -- DICOM JSON of what differs from the series' header
    arrived_at          TEXT NOT NULL,
    standing            TEXT NOT NULL CHECK (standing IN ('current', 'replaced', 'equal', 'undecided', 'conflicting')),
    UNIQUE (study_instance_uid, sop_instance_uid, digest),
    FOREIGN KEY (study_instance_uid, series_instance_uid) REFERENCES series ON DELETE CASCADE
) STRICT;
CREATE UNIQUE INDEX one_current_instance ON instance (study_instance_uid, sop_instance_uid) WHERE standing = 'current';
CREATE INDEX instance_by_series ON instance (study_instance_uid, series_instance_uid);
CREATE INDEX undecided_instance ON instance (standing) WHERE standing = 'undecided';

-- Associations that are open now, with the studies that they have carried.
CREATE TABLE association (
    association_id TEXT PRIMARY KEY,
    calling_aet    TEXT NOT NULL,
    called_aet     TEXT NOT NULL,
    address        TEXT NOT NULL,
    opened_at      TEXT NOT NULL
) STRICT;
CREATE TABLE association_study (
    association_id     TEXT NOT NULL REFERENCES association ON DELETE CASCADE,
    study_instance_uid TEXT NOT NULL,
    PRIMARY KEY (association_id, study_instance_uid)
) STRICT;
CREATE INDEX association_study_by_study ON association_study (study_instance_uid);

CREATE TABLE job (
    job_id              INTEGER PRIMARY KEY,
    study_instance_uid  TEXT NOT NULL REFERENCES study ON DELETE CASCADE,
    state               TEXT NOT NULL DEFAULT 'waiting',
    reason              TEXT NOT NULL DEFAULT '',
    changed_at          TEXT NOT NULL,
    created_at          TEXT NOT NULL,
    revision            INTEGER NOT NULL,
    rule                TEXT NOT NULL,
    model               TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    frame_of_reference_uid TEXT NOT NULL,
    input_digest        TEXT NOT NULL,
    recipe_digest       TEXT NOT NULL,
    run                 INTEGER NOT NULL,
    priority            INTEGER NOT NULL,
    outputs             TEXT NOT NULL,                -- JSON list
    destinations        TEXT NOT NULL,                -- JSON list of peer names
    refusal             TEXT NOT NULL,                -- why the inputs are not to be analysed, known at settling
    superseded          INTEGER NOT NULL DEFAULT 0,   -- its inputs were replaced: nothing of it may be committed
    attempts            INTEGER NOT NULL DEFAULT 0,   -- claims
    not_before          TEXT NOT NULL,
    lease               TEXT NOT NULL DEFAULT '',
    lease_expires_at    TEXT NOT NULL DEFAULT '',
    UNIQUE (study_instance_uid, rule, input_digest, recipe_digest, run)
) STRICT;
CREATE INDEX job_by_state ON job (state, priority);
CREATE INDEX job_by_study ON job (study_instance_uid);

CREATE TABLE job_input (
    job_id      INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    input       TEXT NOT NULL,                -- name of the model's input that it belongs to
    instance_id INTEGER NOT NULL REFERENCES instance,
    PRIMARY KEY (job_id, position)
) STRICT;
CREATE INDEX job_input_by_instance ON job_input (instance_id);

-- Everything this node has made. Rows outlive the files: an object that comes back is recognised here.
CREATE TABLE result (
    result_id           INTEGER PRIMARY KEY,
    job_id              INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    role                TEXT NOT NULL,                -- unique within the job
    kind                TEXT NOT NULL DEFAULT '',     -- which kind of output it is; empty: named as the role
    refers_to           TEXT NOT NULL DEFAULT '',     -- role of the result that has to be stored before it
    sop_class_uid       TEXT NOT NULL,
    sop_instance_uid    TEXT NOT NULL UNIQUE,
    series_instance_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    digest              TEXT NOT NULL,
    size_bytes          INTEGER NOT NULL,
    path                TEXT NOT NULL,
    created_at          TEXT NOT NULL
) STRICT;
CREATE INDEX result_by_job ON result (job_id);

CREATE TABLE delivery (
    delivery_id        INTEGER PRIMARY KEY,
    result_id          INTEGER NOT NULL REFERENCES result ON DELETE CASCADE,
    job_id             INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    study_instance_uid TEXT NOT NULL,
    sop_instance_uid   TEXT NOT NULL,
    destination        TEXT NOT NULL,
    depends_on         INTEGER REFERENCES delivery,
    state              TEXT NOT NULL DEFAULT 'waiting',
    reason             TEXT NOT NULL DEFAULT '',
    changed_at         TEXT NOT NULL,
    status             INTEGER,                       -- of the C-STORE response
    attempts           INTEGER NOT NULL DEFAULT 0,
    lease              TEXT NOT NULL DEFAULT '',
    lease_expires_at   TEXT NOT NULL DEFAULT '',
    UNIQUE (destination, sop_instance_uid)
) STRICT;
CREATE INDEX delivery_by_state ON delivery (state, destination);
CREATE INDEX delivery_by_job ON delivery (job_id);
CREATE INDEX delivery_by_result ON delivery (result_id);
CREATE INDEX delivery_by_study ON delivery (study_instance_uid);

-- When each peer was asked what it accepts, under which address, and what it answered. An inquiry that something has
-- cast doubt on is due again at once; its answers hold until then.
CREATE TABLE inquiry (
    peer     TEXT PRIMARY KEY,
    address  TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    doubtful INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE acceptance (
    peer                TEXT NOT NULL REFERENCES inquiry ON DELETE CASCADE,
    sop_class_uid       TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    result              INTEGER NOT NULL,     -- of the presentation context (PS3.8 Table 9-18): 0 is acceptance
    PRIMARY KEY (peer, sop_class_uid, transfer_syntax_uid)
) STRICT;

-- Peers that did not answer: when to try again.
CREATE TABLE backoff (
    peer        TEXT PRIMARY KEY,
    failures    INTEGER NOT NULL,
    next_try_at TEXT NOT NULL,
    reason      TEXT NOT NULL
) STRICT;

CREATE TRIGGER study_guard BEFORE UPDATE OF state ON study
WHEN OLD.state <> NEW.state
 AND NOT EXISTS (SELECT 1 FROM transition WHERE entity = 'study' AND before = OLD.state AND after = NEW.state)
BEGIN SELECT RAISE(ABORT, 'study: no arrow between these states'); END;
CREATE TRIGGER job_guard BEFORE UPDATE OF state ON job
WHEN OLD.state <> NEW.state
 AND NOT EXISTS (SELECT 1 FROM transition WHERE entity = 'job' AND before = OLD.state AND after = NEW.state)
BEGIN SELECT RAISE(ABORT, 'job: no arrow between these states'); END;
CREATE TRIGGER delivery_guard BEFORE UPDATE OF state ON delivery
WHEN OLD.state <> NEW.state
 AND NOT EXISTS (SELECT 1 FROM transition WHERE entity = 'delivery' AND before = OLD.state AND after = NEW.state)
BEGIN SELECT RAISE(ABORT, 'delivery: no arrow between these states'); END;

CREATE TRIGGER study_log AFTER UPDATE OF state ON study WHEN OLD.state <> NEW.state BEGIN
    INSERT INTO event (at, study_instance_uid, entity, entity_id, arrow, detail)
    SELECT NEW.changed_at, NEW.study_instance_uid, 'study', 'revision ' || NEW.revision, arrow, NEW.reason
    FROM transition WHERE entity = 'study' AND before = OLD.state AND after = NEW.state;
END;
CREATE TRIGGER job_log AFTER UPDATE OF state ON job WHEN OLD.state <> NEW.state BEGIN
    INSERT INTO event (at, study_instance_uid, entity, entity_id, arrow, detail)
    SELECT NEW.changed_at, NEW.study_instance_uid, 'job', NEW.job_id || ' (' || NEW.rule || ')', arrow, NEW.reason
    FROM transition WHERE entity = 'job' AND before = OLD.state AND after = NEW.state;
END;
CREATE TRIGGER delivery_log AFTER UPDATE OF state ON delivery WHEN OLD.state <> NEW.state BEGIN
    INSERT INTO event (at, study_instance_uid, entity, entity_id, arrow, detail)
    SELECT NEW.changed_at, NEW.study_instance_uid, 'delivery',
           (SELECT role FROM result WHERE result_id = NEW.result_id) || ' to ' || NEW.destination, arrow, NEW.reason
    FROM transition WHERE entity = 'delivery' AND before = OLD.state AND after = NEW.state;
END;
CREATE TRIGGER study_born AFTER INSERT ON study BEGIN
    INSERT INTO event (at, study_instance_uid, entity, entity_id, arrow, detail)
    VALUES (NEW.changed_at, NEW.study_instance_uid, 'study', 'revision 1', 'opened',
            'first object from ' || NEW.calling_aet || ' at ' || NEW.address || ', sent to ' || NEW.called_aet);
END;
CREATE TRIGGER job_born AFTER INSERT ON job BEGIN
    INSERT INTO event (at, study_instance_uid, entity, entity_id, arrow, detail)
    VALUES (NEW.changed_at, NEW.study_instance_uid, 'job', NEW.job_id || ' (' || NEW.rule || ')', 'created',
            'model ' || NEW.model || ' on series ' || NEW.series_instance_uid || ', run ' || NEW.run);
END;
