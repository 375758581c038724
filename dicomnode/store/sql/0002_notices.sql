-- What a job's results are for and how complete its study was, whom a deadline was promised, and what was taken back.

ALTER TABLE job ADD COLUMN research INTEGER NOT NULL DEFAULT 1;  -- only for destinations that accept research
ALTER TABLE job ADD COLUMN received TEXT NOT NULL DEFAULT '';    -- instances received of expected, in words
ALTER TABLE job ADD COLUMN deadline_at TEXT NOT NULL DEFAULT ''; -- empty: none, or none any more
ALTER TABLE job ADD COLUMN retracted TEXT NOT NULL DEFAULT '';   -- why an operator took its results back
CREATE INDEX job_by_deadline ON job (deadline_at) WHERE deadline_at <> '';

-- Whether it was being sent once and no answer is known: the destination may have it.
ALTER TABLE delivery ADD COLUMN in_doubt INTEGER NOT NULL DEFAULT 0;

ALTER TABLE result ADD COLUMN occasion TEXT NOT NULL DEFAULT ''; -- domain/work.py Occasion
ALTER TABLE result ADD COLUMN only_for TEXT NOT NULL DEFAULT ''; -- the one destination that it was made for
