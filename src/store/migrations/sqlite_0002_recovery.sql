-- Ways back: backup codes, what the person chose, recovery by administrators, pairing, "this was not me".

ALTER TABLE account ADD COLUMN enrolled_at INTEGER;
UPDATE account SET enrolled_at = (SELECT MIN(created_at) FROM credential WHERE account = account.id);
ALTER TABLE account ADD COLUMN recovery_by_email INTEGER NOT NULL DEFAULT 1;
ALTER TABLE account ADD COLUMN recovery_by_backup_codes INTEGER NOT NULL DEFAULT 1;
ALTER TABLE account ADD COLUMN recovery_blocked_at INTEGER;
ALTER TABLE account ADD COLUMN remind_at INTEGER;
-- Consecutive failures: at 100 that way is closed until it is bound anew (NIST SP 800-63B-4 §3.2.2).
ALTER TABLE account ADD COLUMN email_code_failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN backup_code_failures INTEGER NOT NULL DEFAULT 0;

-- Held: it signs in to restricted sessions until then. Frozen: it opens nothing, for good.
ALTER TABLE credential ADD COLUMN held_until INTEGER;
ALTER TABLE credential ADD COLUMN frozen_at INTEGER;
ALTER TABLE credential ADD COLUMN to_confirm INTEGER NOT NULL DEFAULT 0;
-- The `origin` of the session in which it was saved.
ALTER TABLE credential ADD COLUMN saved_in BLOB;

-- The first of the sessions that took each other's place: one sign-in and all that grew from it.
ALTER TABLE session ADD COLUMN origin BLOB;
UPDATE session SET origin = id;
CREATE INDEX session_origin ON session (origin);

-- Names of methods, separated by spaces.
ALTER TABLE session ADD COLUMN proofs TEXT NOT NULL DEFAULT '';
UPDATE session SET proofs = method;

ALTER TABLE email_attempt ADD COLUMN purpose TEXT NOT NULL DEFAULT 'sign_in'
    CHECK (purpose IN ('sign_in', 'address'));

ALTER TABLE audit ADD COLUMN actor TEXT; -- JSON

CREATE TABLE backup_code (
    account    BLOB NOT NULL REFERENCES account ON DELETE CASCADE,
    digest     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    spent_at   INTEGER,
    PRIMARY KEY (account, digest)
) STRICT;

-- What a notice's "this was not me" stops: a passkey, and the `origin` of a session. Neither is a foreign key:
-- they may be gone.
CREATE TABLE report (
    digest     BLOB PRIMARY KEY,
    account    BLOB NOT NULL REFERENCES account ON DELETE CASCADE,
    credential BLOB,
    session    BLOB,
    about      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    spent_at   INTEGER
) STRICT;
CREATE INDEX report_account ON report (account);

-- A recovery that administrators grant. The link exists once it is approved and was shown. Kept for good.
CREATE TABLE recovery (
    id              BLOB PRIMARY KEY,
    account         BLOB NOT NULL REFERENCES account ON DELETE CASCADE,
    requested_by    TEXT NOT NULL, -- JSON
    reason          TEXT NOT NULL,
    note            TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    approved_by     TEXT,          -- JSON
    approved_at     INTEGER,
    link            BLOB UNIQUE,
    link_expires_at INTEGER,
    superseded      INTEGER NOT NULL DEFAULT 0,
    spent_at        INTEGER
) STRICT;
CREATE INDEX recovery_account ON recovery (account);

-- A browser that asks to be let in from another device. `account` is set once somebody has looked at it there,
-- or from the start when `offered_by`, a session of the account, asked for it; `approver` is the session that
-- approved. `blocked_at` marks the request that was one too many in a short time: until some while after, the
-- account lets nobody in.
CREATE TABLE pairing (
    id            BLOB PRIMARY KEY,
    browser       BLOB NOT NULL,
    link          BLOB NOT NULL UNIQUE,
    code          BLOB NOT NULL UNIQUE,
    number        INTEGER NOT NULL,
    device        TEXT NOT NULL,
    network       TEXT NOT NULL,
    return_to     TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    superseded    INTEGER NOT NULL DEFAULT 0,
    offered_by    BLOB,
    account       BLOB REFERENCES account ON DELETE CASCADE,
    approver      BLOB,
    seen_at       INTEGER,
    wrong_numbers INTEGER NOT NULL DEFAULT 0,
    approved_at   INTEGER,
    refused_at    INTEGER,
    blocked_at    INTEGER,
    spent_at      INTEGER
) STRICT;
CREATE INDEX pairing_browser ON pairing (browser);
CREATE INDEX pairing_account ON pairing (account);
CREATE INDEX pairing_offered_by ON pairing (offered_by);
CREATE INDEX pairing_expires_at ON pairing (expires_at);
