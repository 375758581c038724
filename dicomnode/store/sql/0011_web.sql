-- Who may use the dashboard and the REST interface, and who is signed in there.

CREATE TABLE web_person (
    name       TEXT PRIMARY KEY,
    role       TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'administrator')),
    sees_names INTEGER NOT NULL CHECK (sees_names IN (0, 1)),
    salt       BLOB NOT NULL,
    passcode   BLOB NOT NULL,                    -- hashed by scrypt
    added_at   TEXT NOT NULL
) STRICT;

CREATE TABLE web_token (
    name       TEXT PRIMARY KEY,
    role       TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'administrator')),
    sees_names INTEGER NOT NULL CHECK (sees_names IN (0, 1)),
    digest     BLOB NOT NULL UNIQUE,             -- SHA-256 of a random number of 256 bits, which needs no salt
    added_at   TEXT NOT NULL,
    expires_at TEXT NOT NULL                     -- '' for never
) STRICT;

CREATE TABLE web_session (
    digest     BLOB PRIMARY KEY,                 -- as of a token
    name       TEXT NOT NULL REFERENCES web_person ON DELETE CASCADE,
    began_at   TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;

CREATE INDEX web_session_of ON web_session (name);
CREATE INDEX web_session_over ON web_session (expires_at);

-- How each peer answered when somebody last asked it for C-ECHO.
CREATE TABLE peer_echo (
    peer     TEXT PRIMARY KEY,
    asked_at TEXT NOT NULL,
    seconds  REAL NOT NULL,                      -- until it answered
    failure  TEXT NOT NULL                       -- why it did not; '' where it did
) STRICT;
