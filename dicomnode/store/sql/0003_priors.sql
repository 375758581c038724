-- Earlier studies of a patient that a rule compares with: what is looked for where, what has come of it into the
-- scratch area, and what each job was given.

INSERT INTO transition (entity, before, arrow, after) VALUES
    ('prior', 'waiting', 'fetched', 'fetched'),
    ('prior', 'waiting', 'given up', 'failed'),
    ('prior', 'waiting', 'cancelled', 'cancelled'),
    ('prior', 'fetched', 'handed over', 'done'),
    ('prior', 'fetched', 'cancelled', 'cancelled');

-- One job's wish at one source. Only one thread works on a source, so a search needs no lease.
CREATE TABLE prior_search (
    search_id          INTEGER PRIMARY KEY,
    job_id             INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    study_instance_uid TEXT NOT NULL,
    source             TEXT NOT NULL,              -- name of a peer
    state              TEXT NOT NULL DEFAULT 'waiting',
    reason             TEXT NOT NULL DEFAULT '',
    changed_at         TEXT NOT NULL,
    give_up_at         TEXT NOT NULL,
    next_try_at        TEXT NOT NULL,
    failures           INTEGER NOT NULL DEFAULT 0,
    found              TEXT NOT NULL DEFAULT '[]', -- JSON list of the Study Instance UIDs that were chosen
    UNIQUE (job_id, source)
) STRICT;
CREATE INDEX prior_search_by_state ON prior_search (state, source);

-- Series that this node has asked a peer for. Only their objects are taken into the scratch area.
CREATE TABLE prior_series (
    study_instance_uid  TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    source              TEXT NOT NULL,
    asked_at            TEXT NOT NULL,
    fetching            INTEGER NOT NULL DEFAULT 0, -- the source is being asked for it just now
    whole               INTEGER NOT NULL DEFAULT 0, -- all that a source listed of it has come
    header              TEXT NOT NULL DEFAULT '',  -- DICOM JSON of the first instance that came
    PRIMARY KEY (study_instance_uid, series_instance_uid)
) STRICT;

CREATE TABLE prior_object (
    object_id           INTEGER PRIMARY KEY,
    study_instance_uid  TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    sop_class_uid       TEXT NOT NULL,
    sop_instance_uid    TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    digest              TEXT NOT NULL,
    size_bytes          INTEGER NOT NULL,
    path                TEXT NOT NULL,             -- relative to the store
    own                 TEXT NOT NULL,             -- DICOM JSON of what differs from the series' header
    arrived_at          TEXT NOT NULL,
    UNIQUE (study_instance_uid, sop_instance_uid),
    FOREIGN KEY (study_instance_uid, series_instance_uid) REFERENCES prior_series ON DELETE CASCADE
) STRICT;
CREATE INDEX prior_object_by_series ON prior_object (study_instance_uid, series_instance_uid);
CREATE INDEX prior_object_by_size ON prior_object (size_bytes);  -- their sum is asked for with every arrival

-- What a job was given, as it was then.
CREATE TABLE job_prior (
    job_id             INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    study_instance_uid TEXT NOT NULL,
    study_date         TEXT NOT NULL,              -- YYYYMMDD
    source             TEXT NOT NULL,
    remark             TEXT NOT NULL,
    PRIMARY KEY (job_id, study_instance_uid)
) STRICT;

CREATE TABLE job_prior_file (
    job_id              INTEGER NOT NULL,
    study_instance_uid  TEXT NOT NULL,
    position            INTEGER NOT NULL,
    kind                TEXT NOT NULL,
    input               TEXT NOT NULL,
    own                 INTEGER NOT NULL,
    series_instance_uid TEXT NOT NULL,
    sop_class_uid       TEXT NOT NULL,
    sop_instance_uid    TEXT NOT NULL,
    path                TEXT NOT NULL,             -- relative to the store
    PRIMARY KEY (job_id, study_instance_uid, position),
    FOREIGN KEY (job_id, study_instance_uid) REFERENCES job_prior ON DELETE CASCADE
) STRICT;
CREATE INDEX job_prior_file_by_path ON job_prior_file (path);

-- Our own earlier studies of a patient are found without reading every header.
CREATE INDEX series_by_patient ON series (json_extract(header, '$."00100020".Value[0]'));

CREATE TRIGGER prior_guard BEFORE UPDATE OF state ON prior_search
WHEN OLD.state <> NEW.state
 AND NOT EXISTS (SELECT 1 FROM transition WHERE entity = 'prior' AND before = OLD.state AND after = NEW.state)
BEGIN SELECT RAISE(ABORT, 'prior: no arrow between these states'); END;
CREATE TRIGGER prior_log AFTER UPDATE OF state ON prior_search WHEN OLD.state <> NEW.state BEGIN
    INSERT INTO event (at, study_instance_uid, entity, entity_id, arrow, detail)
    SELECT NEW.changed_at, NEW.study_instance_uid, 'prior', 'job ' || NEW.job_id || ' at ' || NEW.source, arrow,
           NEW.reason
    FROM transition WHERE entity = 'prior' AND before = OLD.state AND after = NEW.state;
END;
CREATE TRIGGER prior_born AFTER INSERT ON prior_search BEGIN
    INSERT INTO event (at, study_instance_uid, entity, entity_id, arrow, detail)
    VALUES (NEW.changed_at, NEW.study_instance_uid, 'prior', 'job ' || NEW.job_id || ' at ' || NEW.source, 'wanted',
            'until ' || NEW.give_up_at);
END;
