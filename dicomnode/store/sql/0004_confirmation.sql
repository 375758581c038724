-- Who has confirmed that a delivered object is kept, so that our copy may go.

ALTER TABLE delivery ADD COLUMN confirmed_at TEXT NOT NULL DEFAULT ''; -- empty: nobody has yet
ALTER TABLE delivery ADD COLUMN confirmed_by TEXT NOT NULL DEFAULT ''; -- domain/work.py Confirmation
ALTER TABLE delivery ADD COLUMN to_ask INTEGER NOT NULL DEFAULT 1;    -- 0: being asked for, or not to be asked for any more
CREATE INDEX delivery_to_ask ON delivery (destination, delivery_id)
    WHERE state = 'done' AND confirmed_at = '' AND to_ask = 1;

INSERT INTO transition (entity, before, arrow, after) VALUES
    ('delivery', 'done', 'lost', 'waiting'),
    ('delivery', 'done', 'not kept', 'failed');

-- What a peer has asked this node to commit to (PS3.4 J), as it asked. Known to the peer by its transaction UID.
CREATE TABLE pledge (
    pledge_id       INTEGER PRIMARY KEY,
    peer            TEXT NOT NULL,
    called_aet      TEXT NOT NULL,              -- the title that the report has to come from (PS3.4 J.3.3)
    transaction_uid TEXT NOT NULL,
    state           TEXT NOT NULL DEFAULT 'waiting', -- waiting: for archives; ready: to be reported; reported; failed
    reason          TEXT NOT NULL DEFAULT '',
    asked_at        TEXT NOT NULL,
    answer_by       TEXT NOT NULL,              -- what no archive has confirmed by then is reported as failed
    next_at         TEXT NOT NULL,              -- when to report on an association of our own
    failures        INTEGER NOT NULL DEFAULT 0, -- reports that did not arrive
    UNIQUE (peer, transaction_uid)
) STRICT;
CREATE INDEX pledge_by_state ON pledge (peer, state, next_at);
CREATE INDEX pledge_by_age ON pledge (asked_at);
CREATE INDEX pledge_failed ON pledge (state) WHERE state = 'failed';

CREATE TABLE pledge_object (
    pledge_id        INTEGER NOT NULL REFERENCES pledge ON DELETE CASCADE,
    position         INTEGER NOT NULL,
    sop_class_uid    TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    study_instance_uid  TEXT NOT NULL,          -- of our copy; empty: we have none
    series_instance_uid TEXT NOT NULL,
    verdict          INTEGER,                   -- 0: kept; else a Failure Reason; null: not known yet
    PRIMARY KEY (pledge_id, position)
) STRICT;

-- A request names objects by their own UID alone.
CREATE INDEX instance_by_uid ON instance (sop_instance_uid);

-- What this node asks a peer to confirm: what a job has delivered there, or what a pledge is about.
CREATE TABLE commitment (
    commitment_id      INTEGER PRIMARY KEY,
    peer               TEXT NOT NULL,
    job_id             INTEGER REFERENCES job ON DELETE CASCADE,
    pledge_id          INTEGER REFERENCES pledge ON DELETE CASCADE,
    study_instance_uid TEXT NOT NULL,
    means              TEXT NOT NULL,              -- domain/work.py Confirmation
    state              TEXT NOT NULL DEFAULT 'waiting', -- waiting: to be asked; asked: a report is due; done; failed;
                                                   -- replaced: it had failed, and another question asks anew
    reason             TEXT NOT NULL DEFAULT '',
    asked              INTEGER NOT NULL DEFAULT 0, -- how often
    next_at            TEXT NOT NULL               -- when to ask, or until when the report has to come
) STRICT;
CREATE INDEX commitment_by_state ON commitment (peer, state, next_at);
CREATE INDEX commitment_by_job ON commitment (job_id);
CREATE INDEX commitment_by_pledge ON commitment (pledge_id);
CREATE INDEX commitment_failed ON commitment (state) WHERE state = 'failed';

CREATE TABLE commitment_object (
    commitment_id    INTEGER NOT NULL REFERENCES commitment ON DELETE CASCADE,
    position         INTEGER NOT NULL,
    delivery_id      INTEGER REFERENCES delivery ON DELETE CASCADE,
    sop_class_uid    TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    study_instance_uid  TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    verdict          INTEGER,                    -- as in pledge_object
    asked_at         TEXT NOT NULL DEFAULT '',   -- when that was asked which the verdict answers
    final            INTEGER NOT NULL DEFAULT 0, -- the delivery is not asked for again
    PRIMARY KEY (commitment_id, position)
) STRICT;
CREATE INDEX commitment_object_by_delivery ON commitment_object (delivery_id);
CREATE INDEX commitment_object_by_name ON commitment_object (commitment_id, sop_instance_uid);

-- Every transaction that a peer was asked under; its report counts however late it comes.
CREATE TABLE commitment_transaction (
    transaction_uid TEXT PRIMARY KEY,
    commitment_id   INTEGER NOT NULL REFERENCES commitment ON DELETE CASCADE,
    asked_at        TEXT NOT NULL,
    accepted        INTEGER NOT NULL DEFAULT 0,  -- the peer has taken the request
    reported        INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX commitment_transaction_by_commitment ON commitment_transaction (commitment_id);

-- What was taken back is not asked for: an archive may hide what a rejection note names.
CREATE TRIGGER commitment_retracted AFTER UPDATE OF retracted ON job WHEN NEW.retracted <> '' BEGIN
    UPDATE delivery SET to_ask = 0 WHERE job_id = NEW.job_id
        AND result_id IN (SELECT result_id FROM result WHERE job_id = NEW.job_id AND occasion <> 'withdrawal');
    DELETE FROM commitment_object WHERE verdict IS NOT 0 AND delivery_id IN
        (SELECT delivery_id FROM delivery JOIN result USING (result_id)
          WHERE delivery.job_id = NEW.job_id AND occasion <> 'withdrawal');
END;
UPDATE job SET retracted = retracted WHERE retracted <> '';
