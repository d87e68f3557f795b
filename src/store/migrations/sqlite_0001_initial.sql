-- The first schema. Moments are seconds since 1970, ids 16 raw bytes, digests 32 raw bytes.

CREATE TABLE account (
    id                BLOB PRIMARY KEY,
    user_handle       BLOB NOT NULL UNIQUE,
    login             TEXT NOT NULL UNIQUE COLLATE NOCASE,
    email             TEXT UNIQUE,
    email_verified_at INTEGER,
    name              TEXT,
    group_names       TEXT NOT NULL, -- a JSON array of strings
    state             TEXT NOT NULL CHECK (state IN ('active', 'disabled')),
    created_at        INTEGER NOT NULL
) STRICT;

CREATE TABLE invitation (
    digest     BLOB PRIMARY KEY,
    account    BLOB NOT NULL REFERENCES account ON DELETE CASCADE,
    expires_at INTEGER NOT NULL,
    superseded INTEGER NOT NULL DEFAULT 0,
    spent_at   INTEGER
) STRICT;
CREATE INDEX invitation_account ON invitation (account);

CREATE TABLE credential (
    id              BLOB PRIMARY KEY,
    account         BLOB NOT NULL REFERENCES account ON DELETE CASCADE,
    material        TEXT NOT NULL,
    label           TEXT NOT NULL,
    aaguid          BLOB,
    backup_eligible INTEGER NOT NULL,
    backup_state    INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    last_used_at    INTEGER
) STRICT;
CREATE INDEX credential_account ON credential (account);

-- `credential` is no foreign key: a session outlives the passkey that opened it when its owner removes
-- that passkey from inside it.
CREATE TABLE session (
    id               BLOB PRIMARY KEY,
    account          BLOB NOT NULL REFERENCES account ON DELETE CASCADE,
    method           TEXT NOT NULL,
    authenticated_at INTEGER NOT NULL,
    restricted       INTEGER NOT NULL,
    stepped_up_at    INTEGER,
    credential       BLOB,
    created_at       INTEGER NOT NULL,
    last_seen_at     INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    device           TEXT NOT NULL,
    network          TEXT,
    ended_at         INTEGER
) STRICT;
CREATE INDEX session_account ON session (account);
CREATE INDEX session_credential ON session (credential);
CREATE INDEX session_expires_at ON session (expires_at);

CREATE TABLE spent_ceremony (
    id         BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE email_attempt (
    id          BLOB PRIMARY KEY,
    account     BLOB REFERENCES account ON DELETE CASCADE,
    email       TEXT NOT NULL,
    link        BLOB NOT NULL UNIQUE,
    code        BLOB NOT NULL,
    browser     BLOB NOT NULL,
    return_to   TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    wrong_codes INTEGER NOT NULL DEFAULT 0,
    superseded  INTEGER NOT NULL DEFAULT 0,
    spent_at    INTEGER
) STRICT;
CREATE INDEX email_attempt_email ON email_attempt (email);
CREATE INDEX email_attempt_account ON email_attempt (account);

-- A taken mail stays, due again when its lease ends.
CREATE TABLE outbox (
    id         BLOB PRIMARY KEY,
    account    BLOB REFERENCES account ON DELETE CASCADE,
    sealed     BLOB NOT NULL,
    due_at     INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    tries      INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_due_at ON outbox (due_at);
CREATE INDEX outbox_account ON outbox (account);

CREATE TABLE signing_key (
    kid        TEXT PRIMARY KEY,
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- AUTOINCREMENT: a position is never given out twice, even after old changes were forgotten.
CREATE TABLE change (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL CHECK (kind IN ('session_ended', 'account_changed', 'keys_changed')),
    subject BLOB
) STRICT;
CREATE INDEX change_at ON change (at);

-- However a session is ended, the other nodes hear of it.
CREATE TRIGGER session_ended AFTER UPDATE OF ended_at ON session
WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL
BEGIN
    INSERT INTO change (at, kind, subject) VALUES (NEW.ended_at, 'session_ended', NEW.id);
END;

-- `account` is no foreign key: records outlive what they tell of.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    account BLOB,
    network TEXT,
    request BLOB,
    event   TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX audit_at ON audit (at, seq);
CREATE INDEX audit_account_at ON audit (account, at, seq);
