-- Each receiver of alerts has its own, so that one that does not answer delays no other.
CREATE TABLE alerts_of_receivers (
    id INTEGER PRIMARY KEY,
    receiver TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    raised_at INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL,
    -- When it was delivered, or given up.
    done_at INTEGER,
    error TEXT,
    UNIQUE (receiver, key)
);
INSERT INTO alerts_of_receivers SELECT id, 'default', key, body, raised_at, tries, due_at, done_at, error FROM alerts;
DROP TABLE alerts;
ALTER TABLE alerts_of_receivers RENAME TO alerts;
CREATE INDEX alerts_due ON alerts (receiver, due_at) WHERE done_at IS NULL;
CREATE INDEX alerts_done ON alerts (done_at) WHERE done_at IS NOT NULL;
