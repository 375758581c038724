-- Which earlier studies a comparison lacks because its rule takes no more: the day of the newest (YYYYMMDD), or ''.

ALTER TABLE prior_search ADD COLUMN newest_left_out TEXT NOT NULL DEFAULT '';
ALTER TABLE job_prior ADD COLUMN newest_left_out TEXT NOT NULL DEFAULT '';
