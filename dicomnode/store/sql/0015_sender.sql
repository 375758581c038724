-- A token may be good for storing alone.

CREATE TABLE web_token_of_all (
    name       TEXT PRIMARY KEY,
    role       TEXT NOT NULL CHECK (role IN ('sender', 'viewer', 'operator', 'administrator')),
    sees_names INTEGER NOT NULL CHECK (sees_names IN (0, 1)),
    digest     BLOB NOT NULL UNIQUE,             -- SHA-256 of a random number of 256 bits, which needs no salt
    added_at   TEXT NOT NULL,
    expires_at TEXT NOT NULL                     -- '' for never
) STRICT;

INSERT INTO web_token_of_all SELECT name, role, sees_names, digest, added_at, expires_at FROM web_token;
DROP TABLE web_token;
ALTER TABLE web_token_of_all RENAME TO web_token;
