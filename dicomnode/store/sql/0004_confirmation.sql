-- Who has confirmed that a delivered object is kept, so that our copy may go.

ALTER TABLE delivery ADD COLUMN confirmed_at TEXT NOT NULL DEFAULT ''; -- empty: nobody has yet
ALTER TABLE delivery ADD COLUMN confirmed_by TEXT NOT NULL DEFAULT ''; -- domain/work.py Confirmation
