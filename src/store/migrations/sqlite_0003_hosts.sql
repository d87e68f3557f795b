-- Several hosts: one sign-in has a session on each of them, and all of these end as one.

-- What was called `origin`: the sign-in's first session. Those that took its place have it, and so have those
-- that were handed to other hosts.
ALTER TABLE session RENAME COLUMN origin TO family;
DROP INDEX session_origin;
CREATE INDEX session_family ON session (family);

-- The host whose cookie it is; NULL where any host takes it.
ALTER TABLE session ADD COLUMN host TEXT;

-- A session on its way to another host, in one browser. `session` is the one that is handed on, and no foreign
-- key: it may have been replaced and forgotten by then.
CREATE TABLE handoff (
    code       BLOB PRIMARY KEY,
    browser    BLOB NOT NULL,
    host       TEXT NOT NULL,
    session    BLOB NOT NULL,
    account    BLOB NOT NULL REFERENCES account ON DELETE CASCADE,
    expires_at INTEGER NOT NULL,
    spent_at   INTEGER
) STRICT;
CREATE INDEX handoff_account ON handoff (account);
CREATE INDEX handoff_expires_at ON handoff (expires_at);
