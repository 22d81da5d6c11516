-- Groups, users and rooms to which nothing is sent.
CREATE TABLE suppressions (
    app BIGINT NOT NULL REFERENCES apps (id),
    -- `group`, `user` or `room`.
    kind TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    reason TEXT,
    -- Who added it.
    actor TEXT NOT NULL,
    added_at BIGINT NOT NULL,
    -- NULL if it has no end.
    expires_at BIGINT,
    PRIMARY KEY (app, kind, id)
);

-- What the recipients of a fixed plan are, as in `suppressions`. NULL for an edit, and before the plan is fixed.
ALTER TABLE broadcasts ADD COLUMN kind TEXT COLLATE "C";
UPDATE broadcasts SET kind = CASE CAST(spec AS JSONB) ->> 'call'
    WHEN 'group' THEN 'group' WHEN 'targeted' THEN 'group' WHEN 'user' THEN 'user' WHEN 'room' THEN 'room' END;
-- Whether it is also sent to recipients on the suppression list.
ALTER TABLE broadcasts ADD COLUMN overrides BOOLEAN NOT NULL DEFAULT FALSE;
