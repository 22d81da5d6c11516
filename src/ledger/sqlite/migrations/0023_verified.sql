-- What became of sent messages afterwards: whether the service has a record of them, and edits of single messages.

ALTER TABLE recipients ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;

-- The result of the latest verification; NULL if there was none.
ALTER TABLE broadcasts ADD COLUMN n_verified INTEGER;
ALTER TABLE broadcasts ADD COLUMN n_missing INTEGER;
ALTER TABLE broadcasts ADD COLUMN n_unverified INTEGER;

INSERT INTO meanings (of, number, name, meaning) VALUES
    ('verified', 0, 'unasked', 'the records were not compared with it'),
    ('verified', 1, 'yes', 'the service has a record of it'),
    ('verified', 2, 'missing', 'the complete history has no record of it'),
    ('verified', 3, 'unknown', 'there was no record of it yet');

-- Edits of single messages. The edits of broadcasts are recipients with a target.
CREATE TABLE edits (
    id INTEGER PRIMARY KEY,
    app INTEGER NOT NULL REFERENCES apps (id),
    message_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    -- The edit as JSON.
    content TEXT NOT NULL,
    origin TEXT NOT NULL,
    state INTEGER NOT NULL,
    error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX edits_by_message ON edits (app, message_id);

-- Read receipts name the message alone.
CREATE INDEX recipients_by_message ON recipients (message_id) WHERE message_id IS NOT NULL;
