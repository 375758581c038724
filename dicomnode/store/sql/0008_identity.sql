-- What archives say of whose a study is, where that is not what its objects say: these are told as the archive has it.

CREATE TABLE identity_correction (
    study_instance_uid TEXT NOT NULL REFERENCES study ON DELETE CASCADE,
    before             TEXT NOT NULL,              -- what objects say: JSON, keyword to value
    after              TEXT NOT NULL,              -- what the archive said
    source             TEXT NOT NULL,              -- name of the peer that was asked
    since_job          INTEGER NOT NULL,           -- jobs up to this one did not know of it
    changed_at         TEXT NOT NULL,
    PRIMARY KEY (study_instance_uid, before)
) STRICT, WITHOUT ROWID;
