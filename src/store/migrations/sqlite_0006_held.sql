-- Requests that wait until their sender has signed in. `summary` and `body` are sealed under a key that takes the
-- browser's secret; `browser` is the digest of that. `account` is whose session sent it, if there was one. A row
-- stays for a while when its content has gone, so that the page can say what became of it: `size` is 0 then.
-- It stands before the content, so that adding sizes up reads none of that.
CREATE TABLE held_request (
    id         BLOB PRIMARY KEY,
    browser    BLOB NOT NULL,
    account    BLOB REFERENCES account ON DELETE CASCADE,
    network    TEXT NOT NULL,
    size       INTEGER NOT NULL,
    held_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('waiting', 'taken', 'discarded')),
    summary    BLOB NOT NULL,
    body       BLOB NOT NULL
) STRICT;
CREATE INDEX held_request_room ON held_request (network, size) WHERE size > 0;
CREATE INDEX held_request_account ON held_request (account);
CREATE INDEX held_request_expires_at ON held_request (expires_at);
