-- Groups, users and rooms to which nothing is sent.
CREATE TABLE suppressions (
    app INTEGER NOT NULL REFERENCES apps (id),
    -- `group`, `user` or `room`.
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    reason TEXT,
    -- Who added it.
    actor TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    -- NULL if it has no end.
    expires_at INTEGER,
    PRIMARY KEY (app, kind, id)
) WITHOUT ROWID;

-- What the recipients of a fixed plan are, as in `suppressions`. NULL for an edit, and before the plan is fixed.
ALTER TABLE broadcasts ADD COLUMN kind TEXT;
UPDATE broadcasts SET kind = CASE json_extract(spec, '$.call')
    WHEN 'group' THEN 'group' WHEN 'targeted' THEN 'group' WHEN 'user' THEN 'user' WHEN 'room' THEN 'room' END;
-- Whether it is also sent to recipients on the suppression list.
ALTER TABLE broadcasts ADD COLUMN overrides INTEGER NOT NULL DEFAULT 0;
