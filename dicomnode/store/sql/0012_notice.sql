-- What runs came to in figures, what readers complained of, and who is told of what.

-- One row for each job that has ended: what a model does lately is told from these, and no patient is in them.
CREATE TABLE outcome (
    job_id       INTEGER PRIMARY KEY REFERENCES job ON DELETE CASCADE,
    ended_at     TEXT NOT NULL,
    model        TEXT NOT NULL,
    version      TEXT NOT NULL,                     -- of the bundle; empty where it could not be read
    ending       TEXT NOT NULL CHECK (ending IN ('done', 'blocked', 'unsuitable', 'failed')),
    blocked_by   TEXT NOT NULL DEFAULT '',          -- names of the rules of the quality gate that were not met
    manufacturer TEXT NOT NULL,                     -- of the series of the model's first input, as its header says
    scanner      TEXT NOT NULL,                     -- Manufacturer's Model Name
    station      TEXT NOT NULL,                     -- Station Name
    findings     INTEGER,                           -- regions and boxes; NULL where the task finds none
    volume_ml    REAL,                              -- of all regions; NULL where none is measured
    urgent       TEXT NOT NULL DEFAULT ''           -- labels of findings that the bundle marks urgent
) STRICT;
CREATE INDEX outcome_by_scanner ON outcome (model, manufacturer, scanner, station, job_id);
CREATE INDEX outcome_by_time ON outcome (ended_at);

-- Complaints of readers about results of a study.
CREATE TABLE flag (
    flag_id            INTEGER PRIMARY KEY,
    study_instance_uid TEXT NOT NULL REFERENCES study ON DELETE CASCADE,
    flagged_at         TEXT NOT NULL,
    flagged_by         TEXT NOT NULL,
    reason             TEXT NOT NULL
) STRICT;
CREATE INDEX flag_by_study ON flag (study_instance_uid);

-- How far each [[notify]] has read the event log. Writers take turns (BEGIN IMMEDIATE), so that numbers of events are
-- in the order of their commits, and nothing appears later below a mark.
CREATE TABLE notice_mark (
    notify   TEXT PRIMARY KEY,
    event_id INTEGER NOT NULL
) STRICT;

-- Messages that are owed. The id goes with the message, so that one that comes twice can be recognised.
CREATE TABLE message (
    message_id  TEXT PRIMARY KEY,
    notify      TEXT NOT NULL,
    made_at     TEXT NOT NULL,
    state       TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'given up')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    next_try_at TEXT NOT NULL,
    reason      TEXT NOT NULL DEFAULT ''            -- why the last attempt failed
) STRICT, WITHOUT ROWID;
CREATE INDEX message_by_notify ON message (notify, made_at);

-- What messages tell of; without a message yet: the next one has it.
CREATE TABLE notice (
    notice_id          INTEGER PRIMARY KEY,
    notify             TEXT NOT NULL,
    topic              TEXT NOT NULL,
    happened_at        TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,               -- empty: of the node
    rule               TEXT NOT NULL,
    text               TEXT NOT NULL,
    message_id         TEXT REFERENCES message ON DELETE CASCADE
) STRICT;
CREATE INDEX notice_by_message ON notice (message_id);
CREATE INDEX notice_waiting ON notice (notify) WHERE message_id IS NULL;

-- What is wrong for as long as it is: told once, and again when it has been well in between.
CREATE TABLE condition (
    notify  TEXT NOT NULL,
    subject TEXT NOT NULL,
    since   TEXT NOT NULL,
    PRIMARY KEY (notify, subject)
) STRICT, WITHOUT ROWID;
