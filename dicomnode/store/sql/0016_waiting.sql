-- Since when something is owed, which run speaks for a study, and messages that wait beside each other.

-- `changed_at` moves with every attempt. Empty until the first; what leaves the queue begins anew if it comes back.
ALTER TABLE job ADD COLUMN waits_since TEXT NOT NULL DEFAULT '';
ALTER TABLE delivery ADD COLUMN waits_since TEXT NOT NULL DEFAULT '';
UPDATE job SET waits_since = created_at WHERE state IN ('waiting', 'running');
UPDATE delivery SET waits_since = (SELECT created_at FROM result WHERE result.result_id = delivery.result_id)
 WHERE state IN ('waiting', 'running');
CREATE TRIGGER job_begins AFTER UPDATE OF state ON job
WHEN OLD.state = 'waiting' AND NEW.state = 'running' AND OLD.waits_since = ''
BEGIN UPDATE job SET waits_since = OLD.changed_at WHERE job_id = NEW.job_id; END;
CREATE TRIGGER job_ends AFTER UPDATE OF state ON job
WHEN NEW.state NOT IN ('waiting', 'running') AND OLD.waits_since <> ''
BEGIN UPDATE job SET waits_since = '' WHERE job_id = NEW.job_id; END;
CREATE TRIGGER delivery_begins AFTER UPDATE OF state ON delivery
WHEN OLD.state = 'waiting' AND NEW.state = 'running' AND OLD.waits_since = ''
BEGIN UPDATE delivery SET waits_since = OLD.changed_at WHERE delivery_id = NEW.delivery_id; END;
CREATE TRIGGER delivery_ends AFTER UPDATE OF state ON delivery
WHEN NEW.state NOT IN ('waiting', 'running') AND OLD.waits_since <> ''
BEGIN UPDATE delivery SET waits_since = '' WHERE delivery_id = NEW.delivery_id; END;

-- Of the runs of a rule on a study the last one counts that was not superseded, at the time when the first of them
-- ended: an old study that is analysed again does not become a new one.
ALTER TABLE outcome ADD COLUMN counts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outcome ADD COLUMN first_at TEXT NOT NULL DEFAULT '';
UPDATE outcome SET
    first_at = (SELECT MIN(every.ended_at) FROM outcome AS every JOIN job AS other USING (job_id)
                  JOIN job AS own ON own.job_id = outcome.job_id
                 WHERE other.study_instance_uid = own.study_instance_uid AND other.rule = own.rule
                   AND other.model = own.model),
    counts = (SELECT MAX(every.job_id) FROM outcome AS every JOIN job AS other USING (job_id)
                JOIN job AS own ON own.job_id = outcome.job_id
               WHERE other.study_instance_uid = own.study_instance_uid AND other.rule = own.rule
                 AND other.model = own.model AND other.superseded = 0) IS job_id;
DROP INDEX outcome_by_scanner;
CREATE INDEX outcome_counted ON outcome (model, manufacturer, scanner, station, first_at, counts) WHERE counts = 1;
CREATE TRIGGER outcome_born AFTER INSERT ON outcome BEGIN
    UPDATE outcome SET counts = 0
     WHERE counts = 1 AND job_id IN (
        SELECT other.job_id FROM job AS own JOIN job AS other USING (study_instance_uid, rule, model)
         WHERE own.job_id = NEW.job_id);
    UPDATE outcome SET counts = (SELECT superseded = 0 FROM job WHERE job.job_id = NEW.job_id), first_at = COALESCE(
        (SELECT MIN(every.first_at) FROM job AS own JOIN job AS other USING (study_instance_uid, rule, model)
           JOIN outcome AS every ON every.job_id = other.job_id
          WHERE own.job_id = NEW.job_id AND every.job_id <> NEW.job_id), NEW.ended_at)
     WHERE job_id = NEW.job_id;
END;
CREATE TRIGGER outcome_superseded AFTER UPDATE OF superseded ON job WHEN OLD.superseded = 0 AND NEW.superseded = 1 BEGIN
    UPDATE outcome SET counts = 0 WHERE job_id = NEW.job_id;
END;

-- Few wait, and they are asked for each second; what was sent stays for months.
ALTER TABLE message ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;  -- its receiver answered that it does not take it
CREATE INDEX message_waiting ON message (notify) WHERE state = 'waiting';
