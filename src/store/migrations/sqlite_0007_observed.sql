-- How long a change takes to reach every node, and how long mails wait.
-- `at` is in whole seconds of the writer's clock; a second is as long as a revocation may take.
ALTER TABLE change ADD COLUMN written_at REAL;
CREATE TRIGGER change_written AFTER INSERT ON change
BEGIN
    UPDATE change SET written_at = unixepoch('subsec') WHERE seq = NEW.seq;
END;

ALTER TABLE outbox ADD COLUMN queued_at INTEGER;
UPDATE outbox SET queued_at = due_at;
