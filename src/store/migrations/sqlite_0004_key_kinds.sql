-- Keys that sign session tokens, and keys that sign what apps are told of the person.

ALTER TABLE signing_key ADD COLUMN kind TEXT NOT NULL DEFAULT 'session'
    CHECK (kind IN ('session', 'assertion'));
