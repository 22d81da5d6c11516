-- What people are to be told through a webhook, each at least once. A key is told once for as long as its row is kept.
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    raised_at INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL,
    -- When it was delivered, or given up.
    done_at INTEGER,
    error TEXT
);
CREATE INDEX alerts_due ON alerts (due_at) WHERE done_at IS NULL;
CREATE INDEX alerts_done ON alerts (done_at) WHERE done_at IS NOT NULL;
