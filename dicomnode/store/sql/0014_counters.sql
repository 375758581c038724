-- What is counted for whoever watches the node; the sums outlast restarts and the removal of what they are about.

-- Labels are a JSON list in the order of flow/metrics/families.py.
CREATE TABLE counter (
    family TEXT NOT NULL,
    labels TEXT NOT NULL,
    value  REAL NOT NULL,
    PRIMARY KEY (family, labels)
) STRICT, WITHOUT ROWID;

-- Up to which event the story is counted: what happened before this table was made is not.
CREATE TABLE counted (
    event_id INTEGER NOT NULL
) STRICT;
INSERT INTO counted SELECT COALESCE(MAX(event_id), 0) FROM event;

-- Bytes in files, kept as a sum, since asking every row takes as long as the store is large.
INSERT INTO counter SELECT 'dicomnode_store_bytes', '["objects"]', COALESCE(SUM(size_bytes), 0)
    FROM instance WHERE purged_at = '';
INSERT INTO counter SELECT 'dicomnode_store_bytes', '["results"]', COALESCE(SUM(size_bytes), 0)
    FROM result WHERE purged_at = '';
CREATE TRIGGER instance_counted AFTER INSERT ON instance WHEN NEW.purged_at = '' BEGIN
    UPDATE counter SET value = value + NEW.size_bytes
     WHERE family = 'dicomnode_store_bytes' AND labels = '["objects"]';
END;
CREATE TRIGGER instance_recounted AFTER UPDATE OF purged_at, size_bytes ON instance BEGIN
    UPDATE counter SET value = value + NEW.size_bytes * (NEW.purged_at = '') - OLD.size_bytes * (OLD.purged_at = '')
     WHERE family = 'dicomnode_store_bytes' AND labels = '["objects"]';
END;
CREATE TRIGGER instance_uncounted AFTER DELETE ON instance WHEN OLD.purged_at = '' BEGIN
    UPDATE counter SET value = value - OLD.size_bytes
     WHERE family = 'dicomnode_store_bytes' AND labels = '["objects"]';
END;
CREATE TRIGGER result_counted AFTER INSERT ON result WHEN NEW.purged_at = '' BEGIN
    UPDATE counter SET value = value + NEW.size_bytes
     WHERE family = 'dicomnode_store_bytes' AND labels = '["results"]';
END;
CREATE TRIGGER result_recounted AFTER UPDATE OF purged_at, size_bytes ON result BEGIN
    UPDATE counter SET value = value + NEW.size_bytes * (NEW.purged_at = '') - OLD.size_bytes * (OLD.purged_at = '')
     WHERE family = 'dicomnode_store_bytes' AND labels = '["results"]';
END;
CREATE TRIGGER result_uncounted AFTER DELETE ON result WHEN OLD.purged_at = '' BEGIN
    UPDATE counter SET value = value - OLD.size_bytes
     WHERE family = 'dicomnode_store_bytes' AND labels = '["results"]';
END;

-- Few are held, and they are asked for often.
CREATE INDEX held_study ON study (study_instance_uid) WHERE held <> '';
