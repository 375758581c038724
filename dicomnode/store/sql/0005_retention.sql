-- What was removed to make room, and what an operator keeps.

ALTER TABLE study ADD COLUMN purged_at TEXT NOT NULL DEFAULT ''; -- empty: its files are here
