-- Which earlier studies a comparison lacks: because its rule takes no more (the day of the newest, YYYYMMDD, or ''), or
-- because they did not come.

ALTER TABLE prior_search ADD COLUMN newest_left_out TEXT NOT NULL DEFAULT '';
ALTER TABLE job_prior ADD COLUMN newest_left_out TEXT NOT NULL DEFAULT '';
ALTER TABLE prior_search ADD COLUMN incomplete INTEGER NOT NULL DEFAULT 0; -- given up before all that was chosen had come
